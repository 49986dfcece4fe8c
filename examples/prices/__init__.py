"""Weights in safetensors, and the network that they belong to."""
