"""Fresh starts, upon an empty and upon a filled model cache, in containers and as local processes."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.cores import Cores
from bench.measure.run_builder import join_starts
from bench.measure.runtime.compose_runtime import ComposeRuntime
from bench.measure.runtime.engine_client import connect_engine
from bench.measure.runtime.instance import Runtime, StrategyStartError
from bench.measure.runtime.process_runtime import ProcessRuntime
from bench.measure.runtime.registry import load_registry
from bench.measure.steps import start as start_module
from bench.measure.steps.start import Start, start_fresh
from bench.model import Payload, Strategy
from bench.model.expectations import LabelExpectation
from bench.verbs.terminal_progress import PlainProgress
from tests.running.ports import free_port

MODEL_BYTES = 4321
# its pull takes 1 s by its own account where the cache is empty, else a quarter
SERVICE = """
import json, os, pathlib
from http.server import BaseHTTPRequestHandler, HTTPServer

cache = pathlib.Path(os.environ["CACHE"])
pull_s = 0.25 if (cache / "model").exists() else 1.0
cache.mkdir(parents=True, exist_ok=True)
(cache / "model").write_bytes(bytes(4321))
answer = json.dumps({"prediction": "rain", "probabilities": {"rain": 0.9, "snow": 0.1}}).encode()
metrics = f'startup_phase_seconds{{phase="pull",model="m"}} {pull_s}\\n'.encode()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send(metrics if self.path == "/metrics" else b"{}")
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send(answer)
    def send(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): ...

HTTPServer((os.environ.get("HOST", "0.0.0.0"), int(os.environ["PORT"])), Handler).serve_forever()
"""
COMPOSE = """
name: {name}
services:
  thing:
    image: python:3.11-slim-bookworm
    command: ["python", "service.py"]
    working_dir: /app
    user: "10001:10001"
    read_only: true
    cap_drop: [ALL]
    tmpfs: ["/tmp:size=16m,mode=1777"]
    volumes: ["./service.py:/app/service.py:ro"]
    environment: {{PORT: "8080", CACHE: /tmp/models}}
    ports: ["127.0.0.1:{port}:8080"]
    stop_grace_period: 1s
    labels:
      bench.strategy: thing
      bench.port: "8080"
      bench.ready: /ready
      bench.cache: {cache}
"""
PAYLOAD = Payload(
    "an.jpg", "small", "json", "application/json", b"{}", LabelExpectation("rain", {"rain": 0.9, "snow": 0.1})
)
Make = Callable[..., tuple[Runtime, Strategy]]


@pytest.fixture(params=["process", pytest.param("compose", marks=pytest.mark.engine)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Make a runtime of either kind with one strategy; nothing may be left of it in the end."""
    name = f"bench-test-startup-{time.monotonic_ns()}"
    made: list[Runtime] = []

    def one(cache: str = "/tmp/models") -> tuple[Runtime, Strategy]:  # noqa: S108  # in the container
        (tmp_path / "service.py").write_text(SERVICE)
        text = COMPOSE.format(name=name, port=free_port(), cache=cache)
        (tmp_path / "compose.yaml").write_text(text)
        registry = load_registry(tmp_path, {})
        cores = Cores((0,), (0,), (0,))
        runtime: Runtime = (
            ProcessRuntime(registry, cores)
            if request.param == "process"
            else ComposeRuntime(registry, cores, connect_engine(), PlainProgress())
        )
        made.append(runtime)
        runtime.prepare([registry.strategies["thing"]], build=False)
        return runtime, registry.strategies["thing"]

    yield one
    for runtime in made:
        runtime.close()
    assert left_behind(name) == []
    assert not [runtime for runtime in made if isinstance(runtime, ProcessRuntime) and folder(runtime)]


def left_behind(name: str) -> list[str]:
    """Containers, volumes and networks of a project; none where there is no engine."""
    kinds = (
        ["ps", "--all", "--format", "{{.Names}}"],
        ["volume", "ls", "--format", "{{.Name}}"],
        ["network", "ls", "--format", "{{.Name}}"],
    )
    found = [subprocess.run(["docker", *kind], capture_output=True, text=True, check=False) for kind in kinds]
    return [line for done in found for line in done.stdout.split() if name in line]


def folder(runtime: ProcessRuntime) -> bool:
    return runtime._folder.exists()


def started(runtime: Runtime, strategy: Strategy, *, warm: bool) -> Start:
    start = start_fresh(runtime, strategy, PAYLOAD, warm=warm)
    start.instance.stop()
    return start


def test_warm_starts_find_what_one_before_them_pulled_and_cold_ones_nothing(make: Make) -> None:
    runtime, strategy = make()
    assert runtime.model_bytes(strategy) is None
    starts = [started(runtime, strategy, warm=warm).told[0] for warm in (False, True, False, True)]
    assert [one.warm for one in starts] == [False, True, False, True]
    cold = join_starts(starts[0].startup, starts[2].startup)
    kept = join_starts(starts[1].startup, starts[3].startup)
    assert (cold.model_cache, cold.inside) == ("cold", {"pull": (1.0, 1.0)})
    # the start that filled the cache is neither
    assert (kept.model_cache, kept.inside) == ("warm", {"pull": (0.25, 0.25)})
    for found in (cold, kept):
        assert len(found.first_correct_answer_s) == 2
        assert min(found.first_correct_answer_s) > 0
    assert runtime.model_bytes(strategy) == MODEL_BYTES


def test_a_label_that_names_another_folder_is_found_out(make: Make) -> None:
    runtime, strategy = make("/tmp/elsewhere")  # noqa: S108  # in the container
    with pytest.raises(StrategyStartError, match=r"a start left nothing in /tmp/elsewhere: .* bench\.cache"):
        started(runtime, strategy, warm=True)
    assert runtime.model_bytes(strategy) is None


def test_without_the_label_there_are_only_cold_starts(make: Make) -> None:
    runtime, strategy = make("null")
    assert started(runtime, strategy, warm=False).instance.model_cache == "cold"
    with pytest.raises(StrategyStartError, match=r"thing cannot be started upon a filled .*bench\.cache"):
        started(runtime, strategy, warm=True)


def test_an_interrupt_leaves_no_copy_and_the_cache_is_filled_anew(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, strategy = make()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(start_module, "complaint", interrupt)
        with pytest.raises(KeyboardInterrupt):
            started(runtime, strategy, warm=True)
    assert runtime.model_bytes(strategy) is None
    assert started(runtime, strategy, warm=True).told[0].startup.inside == {"pull": (0.25,)}


@pytest.mark.engine
def test_volumes_of_a_session_that_was_killed_go_with_the_next(tmp_path: Path) -> None:
    name = f"bench-test-startup-{time.monotonic_ns()}"
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "compose.yaml").write_text(
        COMPOSE.format(name=name, port=free_port(), cache="/tmp/models")  # noqa: S108  # in the container
    )
    registry = load_registry(tmp_path, {})
    strategies = tuple(registry.strategies.values())
    killed, after = (
        ComposeRuntime(registry, Cores((0,), (0,), (0,)), connect_engine(), PlainProgress()) for _ in "ab"
    )
    killed.start(strategies[0], warm=True).stop()
    (volume,) = (left for left in left_behind(name) if "model-cache" in left)
    after.prepare(strategies, build=False)
    assert volume not in left_behind(name)
    after.close()
    killed.close()
    assert left_behind(name) == []
