"""python -m onnx_serving"""

from serving_core.packages import packages_of

with packages_of("onnx"):
    from serving_core.engine import Engine
    from serving_core.process.serve import run


def make_engine() -> Engine:
    """Return the engine; ONNX Runtime is imported only here, when the server is already listening."""
    from onnx_serving.engine import OnnxEngine

    return OnnxEngine()


if __name__ == "__main__":
    run("onnx", make_engine, "ONNX_MODEL_URI")
