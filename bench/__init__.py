"""Drive model-serving strategies in containers, measure them, and report what the figures support."""
