"""ONNX Runtime with a graph that was optimised offline and contains the transform."""
