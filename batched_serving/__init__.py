"""PyTorch with dynamic batching, on a GPU if the machine has a GPU."""
