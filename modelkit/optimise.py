"""Offline optimisation by ONNX Runtime: done once, on the kind of machine that will serve the graph."""

import tempfile
from pathlib import Path

import onnxruntime

from modelkit.errors import ModelkitError

_ERRORS_ONLY = 3


def open_graph(graph: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session on the CPU with `threads` threads; raises ModelkitError where the file is not a graph."""
    return _session(graph, _options(threads))


def optimise(graph: Path, output: Path) -> None:
    """Write the graph as ONNX Runtime's full optimisation leaves it on this host.

    Raises ModelkitError where the file is missing or is not a graph.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        made = Path(folder) / output.name
        options = _options(threads=1)
        # a result bound to this host's instructions is the aim here, so the warning about it says nothing
        options.log_severity_level = _ERRORS_ONLY
        options.optimized_model_filepath = str(made)
        _session(graph, options)
        made.replace(output)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return options


def _session(graph: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    if not graph.is_file():
        raise ModelkitError(
            f"{graph} does not exist: make it with python -m modelkit export --output {graph}"
        )
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's exceptions share no base class of their own
    except Exception as error:  # noqa: BLE001 - see the line above
        cause = str(error).splitlines()[0]
        raise ModelkitError(
            f"{graph} is not a graph that ONNX Runtime loads ({cause}): export again"
        ) from None
