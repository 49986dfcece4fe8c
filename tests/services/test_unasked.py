"""Nothing leaves a service but what it was told to send, and it writes nothing but the model's copy.

The kernel itself is the witness: the libraries' own machine code is watched like ours.
"""

import base64
import contextlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.running.ports import free_port
from tests.running.processes import ROOT
from tests.running.rust import runtime_library, rust_command
from tests.running.traced import Traced, can_trace, traced

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_trace(), reason="this kernel shows no system calls"),
]

# a library's collector of usage data first speaks after eight seconds
SPEAKS_AFTER_S = 11.0
# a library that sees that it is tested may keep still
NOT_KEPT = re.compile("^(CI|GITHUB_ACTIONS|PYTEST_.*|ORT_.*|XDG_.*)$|_proxy$", re.IGNORECASE)

PEER = "peers.mosec_serving"
SERVICES = {
    "onnx_serving": "onnx",
    "torch_serving": "torch",
    "batched_serving": "batched",
    PEER: "batched",
}
# the same with other code for the network
OPENVINO = "onnx_serving with OpenVINO"
Environment = Callable[[str], dict[str, str]]


def with_openvino(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment in which OpenVINO computes, from that of onnx_serving."""
    uri = variables["ONNX_MODEL_URI"].replace("model.onnx", "network_plain.onnx")
    return {**variables, "ONNX_MODEL_URI": uri, "ENGINE": "openvino", "PIXELS": "pillow"}


@dataclass(frozen=True)
class Home:
    """The only folders in which a program may write: `cache` holds models, `temporary` what goes with it."""

    cache: Path
    temporary: Path

    def environment(self, **settings: str) -> dict[str, str]:
        """Return an environment that names these folders and does not say that a test runs."""
        kept = {name: value for name, value in os.environ.items() if not NOT_KEPT.search(name)}
        own = {
            "HOME": str(self.cache.parent),
            "MODEL_CACHE_DIR": str(self.cache),
            "TMPDIR": str(self.temporary),
            # as in the images: what Python keeps of our sources is no writing of the service's
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {**kept, **own, **settings}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    # a socket's path must be short, which that of a test's own folder is not
    with tempfile.TemporaryDirectory() as temporary:
        yield Home(tmp_path / "cache", Path(temporary))


def elsewhere(seen: Traced, *allowed: Path) -> set[str]:
    """The files that a program wrote outside of the folders that it may write to."""
    inside = ("/dev/", "/proc/", *map(str, allowed))
    return {file for file in seen.files if not file.startswith(inside)}


@contextlib.contextmanager
def served(command: Sequence[str], settings: Mapping[str, str], home: Home) -> Iterator[tuple[Traced, str]]:
    """A service and its address."""
    port = free_port()
    environment = home.environment(HOST="127.0.0.1", PORT=str(port), **settings)
    with traced(command, environment, ROOT) as seen:
        yield seen, f"http://127.0.0.1:{port}"


def wait_for(seen: Traced, address: str) -> None:
    give_up = time.monotonic() + 240
    while time.monotonic() < give_up:
        assert seen.process.poll() is None, seen.process.stderr and seen.process.stderr.read()
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(address, timeout=120).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"{address} does not answer")


def test_services_speak_to_nobody_and_write_nothing_but_their_cache(
    environment: Environment, tmp_path: Path, jpeg: bytes
) -> None:
    with contextlib.ExitStack() as ends:
        started = {}
        settings = {module: environment(name) for module, name in SERVICES.items()}
        settings[OPENVINO] = with_openvino(settings["onnx_serving"])
        for module, variables in settings.items():
            temporary = ends.enter_context(tempfile.TemporaryDirectory())
            (tmp_path / module).mkdir()
            home = Home(tmp_path / module / "cache", Path(temporary))
            command = [sys.executable, "-m", module.partition(" ")[0]]
            started[module] = home, *ends.enter_context(served(command, variables, home))
        for module, (_, seen, address) in started.items():
            wait_for(seen, address + ("/" if module == PEER else "/v2/health/ready"))
            headers = {"Content-Type": "image/jpeg"}
            answer = requests.post(f"{address}/predict/", jpeg, headers=headers, timeout=120)
            assert answer.status_code == 200
        time.sleep(SPEAKS_AFTER_S)
    for module, (home, seen, _) in started.items():
        assert seen.hosts == set(), module
        # Mosec's processes speak through sockets in files
        allowed = [home.temporary] if module == PEER else []
        assert elsewhere(seen, home.cache, *allowed) == set(), module
        assert list(home.cache.iterdir()), module


@pytest.mark.rust
def test_rust_serving_speaks_to_nobody_and_writes_nothing_but_its_cache(
    environment: Environment, home: Home, jpeg: bytes
) -> None:
    """ONNX Runtime's library has its collector of usage data in it here too."""
    # no setting switches the collector off: the service must do so itself
    settings = {"ORT_DYLIB_PATH": str(runtime_library()), **environment("rust")}
    with served(rust_command(), settings, home) as (seen, address):
        wait_for(seen, f"{address}/v2/health/ready")
        headers = {"Content-Type": "image/jpeg"}
        answer = requests.post(f"{address}/predict/", jpeg, headers=headers, timeout=120)
        assert answer.status_code == 200
        time.sleep(SPEAKS_AFTER_S)
    assert seen.hosts == set()
    assert elsewhere(seen, home.cache) == set()
    assert list(home.cache.iterdir())


@pytest.mark.parametrize(("name", "command"), [("onnx", "validate"), ("onnx", "loop"), ("batched", "loop")])
def test_a_services_command_speaks_to_nobody_and_writes_nothing_but_its_cache(
    name: str, command: str, environment: Environment, home: Home, jpeg: bytes
) -> None:
    body = base64.b64encode(jpeg).decode()
    order = {"seconds": 0.1, "warmup_seconds": 0, "content_type": "image/jpeg", "bodies": [body]}
    given = home.temporary / "order.json"
    given.write_text(json.dumps(order), encoding="utf-8")
    words = [sys.executable, "-m", f"{name}_serving", command]
    with (
        given.open() as stdin,
        traced(words, home.environment(**environment(name)), ROOT, stdin.fileno()) as seen,
    ):
        _, errors = seen.process.communicate(timeout=240)
    assert seen.process.returncode == 0, errors
    assert seen.hosts == set()
    assert elsewhere(seen, home.cache) == set()


def test_the_publisher_speaks_to_the_store_alone_and_leaves_nothing(
    published: str, graph: Path, home: Home
) -> None:
    words = [
        sys.executable,
        "-m",
        "modelkit",
        "publish",
        "--to",
        "gs://models/unasked",
        "--graph",
        str(graph),
    ]
    with traced(words, home.environment(STORAGE_EMULATOR_HOST=published), ROOT) as seen:
        _, errors = seen.process.communicate(timeout=240)
    assert seen.process.returncode == 0, errors
    assert seen.hosts == set()
    assert elsewhere(seen, home.temporary) == set()
    assert list(home.temporary.iterdir()) == []


def test_the_witness_sees_machine_code(home: Home) -> None:
    """What C does is seen, in a child of the program too."""
    home.cache.mkdir()
    program = (
        "import ctypes, os, socket\n"
        "if not os.fork():\n"
        f"    ctypes.CDLL(None).creat({str(home.cache / 'made').encode()!r}, 0o600)\n"
        "    socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 443))\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    with traced([sys.executable, "-c", program], home.environment(), home.cache) as seen:
        seen.process.communicate(timeout=120)
    assert seen.hosts == {"192.0.2.1:443"}
    assert elsewhere(seen) == {str(home.cache / "made")}
