"""Trying a handler before it serves."""
