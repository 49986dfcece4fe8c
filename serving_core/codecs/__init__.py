"""How requests are written: every encoding, as functions from a body to its items and back."""
