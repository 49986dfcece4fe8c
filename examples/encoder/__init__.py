"""A small transformer over token ids, for texts of any length up to a limit."""
