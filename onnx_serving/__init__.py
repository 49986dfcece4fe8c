"""ONNX Runtime on a graph that was optimised offline and holds the transform."""
