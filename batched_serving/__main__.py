"""python -m batched_serving"""

from serving_core.packages import packages_of

with packages_of("torch"):
    from serving_core.dispatch import Direct, Dispatcher, Pipeline
    from serving_core.engine import Engine
    from serving_core.process.serve import run
    from serving_core.settings import Settings
    from serving_core.workers import Workers


def make_engine() -> Engine:
    """Return the engine; PyTorch is imported only here, when the server is already listening."""
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
    run("batched", make_engine, "TORCH_MODEL_URI", make_dispatcher)
