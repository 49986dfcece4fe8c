"""What serving tensors without code costs beside a handler that does the same, with a model of about 1 ms.

Two processes of onnx_serving take turns: one serves a graph by its manifest, the other by the handler below.
One client asks both, a request at a time, and the CPU time of each process is counted. Beside them runs the
session alone, in this process.

python tools/compare_tensors.py [--requests N] [--rounds R]
"""

import argparse
import hashlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a program, a folder's own files come first

from serving_core.calls import Item, Outputs  # noqa: E402 - the path comes first
from serving_core.handler import Context, Handler  # noqa: E402 - the path comes first
from serving_core.models.store import Model  # noqa: E402 - the path comes first
from serving_core.tensors import TensorSpec  # noqa: E402 - the path comes first

WIDTH, LAYERS = 128, 600
OPSET, IR_VERSION = 17, 8
START_S = 60


class OwnHandler(Handler):
    """What a user would write for the graph below."""

    platform = "own"
    inputs = (TensorSpec("row", "FP32", (WIDTH,)),)
    outputs = (TensorSpec("made", "FP32", (WIDTH,)),)

    def load(self, model: Model, context: Context) -> None:
        """Open the graph."""
        del context
        self._session = session(model.path)

    def example(self) -> Item:
        """Return a row of zeros."""
        return {"row": np.zeros(WIDTH, np.float32)}

    def predict(self, batch: list[Any]) -> Sequence[Any]:
        """Return a row for each."""
        rows = np.stack([item["row"] for item in batch])
        return [*self._session.run(["made"], {"row": rows})[0]]

    def postprocess(self, result: Any) -> Outputs:
        """Return the row by its name."""
        return {"made": result}


def session(graph: Path) -> ort.InferenceSession:
    """Open a graph as onnx_serving does."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # as in the service
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def publish(folder: Path) -> Path:
    """Write some layers of matrices and their manifest; return the graph."""
    # the same matrix in each layer, so that it stays in the caches: whatever else runs here disturbs less
    values = np.random.default_rng(0).standard_normal((WIDTH, WIDTH)) * WIDTH**-0.5
    weights = [numpy_helper.from_array(values.astype(np.float32), "weights")]
    names = ["row", *(f"hidden{layer}" for layer in range(1, LAYERS)), "made"]
    nodes = [helper.make_node("MatMul", [before, "weights"], [after]) for before, after in pairwise(names)]
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["n", WIDTH]) for end in ("row", "made")]
    graph = helper.make_graph(nodes, "rows", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    file = folder / "model.onnx"
    onnx.save(model, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    tensors = {"inputs": "row", "outputs": "made"}
    manifest = {
        "name": "rows",
        "kind": "tensors",
        "files": {file.name: {"bytes": file.stat().st_size, "sha256": digest}},
        **{key: [{"name": name, "datatype": "FP32", "shape": [WIDTH]}] for key, name in tensors.items()},
        "batch": "any",
    }
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    return file


@dataclass(frozen=True, slots=True)
class RequestCost:
    """Milliseconds of a request: by the clock, and of the CPU time of what computed it."""

    clock_ms: float
    cpu_ms: float


class AskedProcess:
    """A process of onnx_serving, and the connection that asks it."""

    def __init__(self, graph: Path, port: int, handler: str) -> None:
        given = {"ONNX_MODEL_URI": graph.as_uri(), "HANDLER": handler, "PORT": str(port), "THREADS": "1"}
        paths = f"{ROOT}:{ROOT / 'tools'}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "onnx_serving"],
            cwd=ROOT,
            env={**os.environ, **given, "HOST": "127.0.0.1", "LOG_LEVEL": "error", "PYTHONPATH": paths},
        )
        self._port = port
        self._connection = self._connected()
        self._headers, self._body = inference_request()

    def _connected(self) -> http.client.HTTPConnection:
        give_up_s = time.monotonic() + START_S
        while time.monotonic() < give_up_s:
            connection = http.client.HTTPConnection("127.0.0.1", self._port)
            try:
                connection.request("GET", "/v2/health/ready")
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    return connection
            except OSError:
                connection.close()
            time.sleep(0.1)
        raise SystemExit(f"onnx_serving was not ready within {START_S} s")

    def measure(self, requests: int) -> RequestCost:
        """Ask so many times, one after another."""
        began_cpu_s, began_s = self._cpu_s(), time.perf_counter()
        for _ in range(requests):
            self._connection.request("POST", "/v2/models/rows/infer", self._body, self._headers)
            answer = self._connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise SystemExit(content.decode())
        clock_s, cpu_s = time.perf_counter() - began_s, self._cpu_s() - began_cpu_s
        return RequestCost(clock_s * 1000 / requests, cpu_s * 1000 / requests)

    def _cpu_s(self) -> float:
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def end(self) -> None:
        """Stop the process."""
        self._process.terminate()
        self._process.wait(timeout=START_S)


def inference_request() -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of one row in the protocol's binary form."""
    data = np.random.default_rng(1).random(WIDTH, np.float32).tobytes()
    row = {
        "name": "row",
        "datatype": "FP32",
        "shape": [1, WIDTH],
        "parameters": {"binary_data_size": len(data)},
    }
    header = json.dumps({"inputs": [row], "parameters": {"binary_data_output": True}}).encode()
    return {"Inference-Header-Content-Length": str(len(header))}, header + data


def bare(opened: ort.InferenceSession, runs: int) -> RequestCost:
    """Run the session alone."""
    row = np.random.default_rng(1).random((1, WIDTH), np.float32)
    began_cpu_s, began_s = time.process_time(), time.perf_counter()
    for _ in range(runs):
        opened.run(["made"], {"row": row})
    clock_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    return RequestCost(clock_s * 1000 / runs, cpu_s * 1000 / runs)


def main() -> None:
    """Measure in interleaved rounds and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=500, help="requests of a round (500)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds (15)")
    parser.add_argument("--port", type=int, default=18700, help="the first of two ports (18700)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        graph = publish(Path(folder))
        alone = session(graph)
        plain, own = (
            AskedProcess(graph, options.port + number, handler)
            for number, handler in enumerate(("", "compare_tensors:OwnHandler"))
        )
        try:
            rounds = [
                (
                    bare(alone, options.requests),
                    plain.measure(options.requests),
                    own.measure(options.requests),
                )
                for _ in range(options.rounds + 1)
            ][1:]
        finally:
            plain.end()
            own.end()
    for number, name in enumerate(("session alone", "by the manifest", "by a handler of one's own")):
        costs = [round_[number] for round_ in rounds]
        clock = statistics.median(cost.clock_ms for cost in costs)
        cpu = statistics.median(cost.cpu_ms for cost in costs)
        print(f"{name:26} {clock:.3f} ms, {cpu:.3f} ms of CPU time per request")
    for what in ("clock_ms", "cpu_ms"):
        ratios = [getattr(plain_, what) / getattr(own_, what) for _, plain_, own_ in rounds]
        shares = [getattr(bare_, what) / getattr(plain_, what) for bare_, plain_, _ in rounds]
        ratio, share = statistics.median(ratios), statistics.median(shares)
        print(f"{what}: manifest / handler {ratio:.3f}, alone / manifest {share:.3f}")


if __name__ == "__main__":
    main()
