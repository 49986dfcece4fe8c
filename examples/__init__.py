"""Examples: models of another kind, and how they are served."""
