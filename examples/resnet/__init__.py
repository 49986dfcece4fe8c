"""A ResNet-18 in PyTorch, with weights drawn from a seed."""
