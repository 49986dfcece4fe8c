"""A tiny project for bench to measure: a compose.yaml with stub strategies, an image set, stub servers."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.bench.other_hosts import OtherHosts
from tests.running.ports import free_port

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
LABELS = ("rain", "snow")
# other tests may use the cores
BUSY_HERE = ("--max-other-cpu", "100%")

STANZA = """
  {name}-service:
    image: {image}
    command: ["python", "stub_strategy.py"]
    environment:
      PORT: "8080"
      STUB_DELAY_S: "{delay}"
    ports: ["127.0.0.1:${{{variable}:-{port}}}:8080"]
    tmpfs: [/tmp]
    stop_grace_period: 1s
    depends_on: [helper]
    labels:
      bench.strategy: {name}
      bench.title: The {name} stub
      bench.port: "8080"
      bench.path: /predict/
      bench.ready: /ready
      bench.payloads: json,raw
      bench.model: stub
      bench.loop: python stub_strategy.py loop
"""
HEAD = """
name: {project}
services:
  helper:
    image: {image}
    command: ["python", "-c", "import time; time.sleep(3600)"]
    init: true
    labels: {{bench.role: support}}
"""


def write_images(folder: Path) -> None:
    """Five images of class seed and three of class small, with the answers that the stub gives."""
    folder.mkdir()
    entries = []
    for kind, count, size in (("seed", 5, 60_000), ("small", 3, 4_000)):
        for number in range(count):
            content = os.urandom(size)
            label = LABELS[hashlib.sha256(content).digest()[0] % 2]
            probabilities = [0.9 if name == label else 0.1 for name in LABELS]
            (folder / f"{kind}_{number}.jpg").write_bytes(content)
            entries.append(
                {
                    "file": f"{kind}_{number}.jpg",
                    "kind": kind,
                    "expected": {"label": label, "probabilities": probabilities},
                }
            )
    (folder / "manifest.json").write_text(json.dumps({"labels": LABELS, "images": entries}))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with compose.yaml (strategies fast and slow), the stub's code and an image set."""
    root = tmp_path / "project"
    root.mkdir()
    shutil.copy(HERE / "stub_strategy.py", root)
    write_images(root / "images")
    name = f"bench-test-{os.getpid()}-{time.monotonic_ns() % 100000}"
    text = HEAD.format(project=name, image=f"{name}-stub")
    for strategy, delay in (("fast", 0.005), ("slow", 0.02)):
        text += STANZA.format(
            name=strategy,
            delay=delay,
            port=free_port(),
            variable=f"{strategy.upper()}_PORT",
            image=f"{name}-stub",
        )
    (root / "compose.yaml").write_text(text)
    return root


def measures(args: Sequence[str | Path]) -> bool:
    """Whether this command measures, by options of its own."""
    told = {"--resume", "--again", "--head", "--help"} & set(map(str, args))
    return str(args[0]) in ("run", "slo", "aa", "gate") and not told if args else False


@pytest.fixture
def bench() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run `python -m bench` as a user would, on a machine that may run other tests meanwhile."""

    def call(*args: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "bench", *map(str, args), *(BUSY_HERE if measures(args) else ())],
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    return call


@pytest.fixture
def stub_server() -> Iterator[Callable[..., int]]:
    """Start stub strategies with the given STUB_* settings; gives each one's port."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*, host: str = "127.0.0.1", **settings: Any) -> int:
        port = free_port()
        environment = {**os.environ, "PORT": str(port), "HOST": host}
        environment |= {f"STUB_{name.upper()}": str(value) for name, value in settings.items()}
        running.append(subprocess.Popen([sys.executable, HERE / "stub_strategy.py"], env=environment))
        for _ in range(3000):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family) as probe:
                if probe.connect_ex((host if ":" in host else "127.0.0.1", port)) == 0:
                    return port
            time.sleep(0.02)
        raise RuntimeError("the stub did not start")

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def other_hosts() -> Iterator[OtherHosts]:
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and iproute2")
    hosts = OtherHosts()
    yield hosts
    hosts.close()
