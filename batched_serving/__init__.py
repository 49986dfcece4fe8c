"""Dynamic batching: PyTorch, on a GPU if the machine has a GPU, or ONNX Runtime on the processor."""
