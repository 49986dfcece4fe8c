"""docs/requests.md: its commands run in a small project as they stand, and the service meets its manifest."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from bench.request_sets.comparators import comparison
from bench.request_sets.encodings import encode
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import RequestSet
from tests.running.exit_codes import code_of
from tests.running.ports import free_port
from tests.running.processes import ROOT

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/requests.md").read_text(encoding="utf-8")
MODEL = ROOT / "examples/windchill/model/coefficients.json"
DOCUMENTED = "http://127.0.0.1:8080"
SERVES = {
    "HANDLER": "examples.windchill.handler:WindChill",
    "ONNX_MODEL_URI": f"file://{MODEL}",
    "PYTHONPATH": str(ROOT),
}
# what the page leaves to the machine
HERE = {
    "make": ["--runtime", "process"],
    "record": ["--runtime", "process"],
    "run": [
        *("--runtime", "process", "--max-other-cpu", "100%", "--warmup-s", "0.3", "--window-s", "1"),
        *("--startups", "1", "--loop-seconds", "0", "--results", "results"),
    ],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's strategy in compose.yaml, and the page's files."""
    root = tmp_path_factory.mktemp("project")
    service = {
        "image": "none",
        "command": ["python", "-m", "onnx_serving"],
        "environment": {"PORT": "8080", **SERVES},
        "ports": [f"127.0.0.1:{free_port()}:8080"],
        "labels": {
            "bench.strategy": "onnx",
            "bench.port": "8080",
            "bench.model": "windchill",
            "bench.payloads": "json,oip-binary",
        },
    }
    (root / "compose.yaml").write_text(json.dumps({"name": "page", "services": {"onnx_serving": service}}))
    (root / "photos").mkdir()
    written = io.BytesIO()
    Image.new("RGB", (20, 20)).save(written, "JPEG")
    (root / "photos" / "a.jpg").write_bytes(written.getvalue())
    (root / "inputs.jsonl").write_text('{"weather": [-10, 30]}\n')
    np.savez(root / "inputs.npz", weather=np.array([[-10, 30], [0, 50]], np.float32))
    return root


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The page's service by itself; its address."""
    port = free_port()
    command = [sys.executable, "-m", "onnx_serving"]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **SERVES, "PORT": str(port)}) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                if requests.get(f"{url}/v2/health/ready", timeout=1).ok:
                    break
            except requests.ConnectionError:
                pass
            assert process.poll() is None
        yield url
        process.terminate()


def run(command: str, project: Path, url: str) -> str:
    """Run a command of the page in the project; return what it prints."""
    words = command.replace(DOCUMENTED, url).split()
    assert words[:3] == ["python", "-m", "bench"]
    action = words[4] if words[3] == "requests" else words[3]
    more = HERE.get(action, [])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words[1:], *more],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    code = 0
    if action == "run":  # a busy machine may void a window as short as a test's
        (folder,) = (project / "results").glob("*/run.json")
        code = code_of(json.loads(folder.read_text(encoding="utf-8")))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_commands_run_in_their_order(project: Path, service: str) -> None:
    told = [run(command, project, service) for command in COMMANDS]
    sets = {name: read_request_set(project / name) for name in ("requests", "of-a-service")}
    assert [len(one.requests) for one in sets.values()] == [64, 64]
    for name in ("photos-set", "lines-set", "rows-set"):
        assert read_request_set(project / name).requests
    assert "is recorded (64 tensors), as onnx answers" in told[-2]
    assert list((project / "results").glob("*/run.json"))


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> RequestSet:
    """The page's manifest, read from a folder."""
    folder = tmp_path_factory.mktemp("documented")
    (text,) = blocks("json")
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    (folder / "body.json").write_text('{"weather": [-10, 30]}')
    return read_request_set(folder)


def test_the_manifest_of_the_page_is_met_by_the_service(documented: RequestSet, service: str) -> None:
    for one in documented.requests:
        encoded = encode(one, "json" if isinstance(one.body, tuple) else "as-is")
        headers = {"Content-Type": encoded.content_type, **one.headers}
        path = one.path or "/predict/"
        answer = requests.request(one.method, service + path, data=encoded.body, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        assert comparison(one.expect, "json", 0.02)(answer.content).right, answer.text
