"""Examples of models other than the image classifier, and of their handlers."""
