"""PyTorch with dynamic batching, on a GPU where there is one."""
