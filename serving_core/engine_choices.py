"""How an engine computes; this file imports nothing heavy, because settings are read first of all."""

from typing import Literal

# what opens onnx_serving's graph
Runtime = Literal["onnxruntime", "openvino"]
# the numbers that a graph in float32 is computed with
Precision = Literal["fp32", "bf16"]
# what becomes of torch_serving's network before it computes
Execution = Literal["eager", "channels_last", "fused", "aot"]
