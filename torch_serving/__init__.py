"""Eager PyTorch, one image at a time: the baseline."""
