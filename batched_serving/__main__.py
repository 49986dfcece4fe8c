"""python -m batched_serving"""

import os

from serving_core.packages import packages_of


def model_uri_variable() -> str:
    """Return the setting with the model's address; its name says which engine computes."""
    # PyTorch, if both are set: a file of settings may be for several services
    alone = os.environ.get("ONNX_MODEL_URI") and not os.environ.get("TORCH_MODEL_URI")
    return "ONNX_MODEL_URI" if alone else "TORCH_MODEL_URI"


VARIABLE = model_uri_variable()

with packages_of("onnx-simd" if VARIABLE == "ONNX_MODEL_URI" else "torch"):
    from serving_core.dispatch import Direct, Dispatcher, Pipeline
    from serving_core.engine import Engine
    from serving_core.process.serve import run
    from serving_core.settings import Settings
    from serving_core.workers import Workers


def make_engine() -> Engine:
    """Return the engine; what computes is imported only here, when the server is already listening."""
    if VARIABLE == "ONNX_MODEL_URI":
        from batched_serving.onnx_engine import BatchedOnnxEngine

        return BatchedOnnxEngine()
    from batched_serving.engine import BatchedEngine

    return BatchedEngine()


def make_dispatcher(pipeline: Pipeline, settings: Settings, workers: Workers) -> Dispatcher:
    """Return the dispatcher that batches across requests, or the direct dispatcher if MAX_BATCH is 1."""
    from batched_serving.dispatch import Batched

    return (
        Direct(pipeline, settings, workers)
        if settings.max_batch == 1
        else Batched(pipeline, settings, workers)
    )


if __name__ == "__main__":
    run("batched", make_engine, VARIABLE, make_dispatcher)
