"""python -m torch_serving"""

from serving_core.packages import packages_of

with packages_of("torch"):
    from serving_core.engine import Engine
    from serving_core.process.serve import run


def make_engine() -> Engine:
    """Return the engine; PyTorch is imported only here, when the server is already listening."""
    from torch_serving.engine import TorchEngine

    return TorchEngine()


if __name__ == "__main__":
    run("torch", make_engine, "TORCH_MODEL_URI")
