"""An image classifier of which there is an ONNX graph and nothing else."""
