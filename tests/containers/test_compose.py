"""`docker compose up --build` with nothing configured: healthy, hardened, right, and clean in its ends."""

import asyncio
import base64
import contextlib
import json
import math
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.encodings import ENCODINGS
from tests.running.compose import Project
from tests.running.load import until_stopped

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
CLIENTS = 50
# one image and two, of each kind of route
MIX = ("raw", "json list", "oip json", "oip binary", "oip raw")
STRATEGIES = ["torch", "onnx", "batched"]
REQUESTS: list[dict[str, Any]] = json.loads((ROOT / "images" / "manifest.json").read_text(encoding="utf-8"))[
    "requests"
]
TOLERANCE: float = json.loads((ROOT / "model" / "model.json").read_text(encoding="utf-8"))["logit_tolerance"]


def centred(logits: list[float]) -> list[float]:
    """Logits less their mean: a softmax keeps all of them but that."""
    mean = sum(logits) / len(logits)
    return [logit - mean for logit in logits]


def seed_body() -> bytes:
    entry = next(one for one in REQUESTS if one["class"] == "seed")
    return (ROOT / "images" / entry["name"]).read_bytes()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("encoding", ["json", "raw"])
def test_every_image_gets_the_reference_answer(composed: Project, strategy: str, encoding: str) -> None:
    with httpx.Client(base_url=composed.addresses[strategy], timeout=120) as client:
        for image in REQUESTS:
            content = (ROOT / "images" / image["name"]).read_bytes()
            if encoding == "json":
                answer = client.post("/predict/", json={"image": base64.b64encode(content).decode()})
            else:
                answer = client.post(
                    "/predict/", content=content, headers={"Content-Type": "application/octet-stream"}
                )
            assert answer.status_code == 200, f"{image['file']}: {answer.text}"
            found = answer.json()
            assert found["prediction"] == image["expect"]["label"], image["name"]
            logits = centred(
                [math.log(found["probabilities"][label]) for label in image["expect"]["probabilities"]]
            )
            assert logits == pytest.approx(centred(image["expect"]["logits"]), abs=TOLERANCE), image["name"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_container_has_no_more_rights_than_it_needs(composed: Project, strategy: str) -> None:
    found = composed.inspect(f"{strategy}_serving")
    host = found["HostConfig"]
    assert found["Config"]["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["MemorySwap"] == host["Memory"]
    assert host["LogConfig"]["Config"].keys() == {"max-size", "max-file"}
    assert host["PidsLimit"] > 0
    assert {binding["HostIp"] for bindings in host["PortBindings"].values() for binding in bindings} == {
        "127.0.0.1"
    }
    written = composed.compose("exec", "-T", f"{strategy}_serving", "touch", "/app/x", check=False)
    assert "Read-only" in written.stderr


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_image_holds_what_its_strategy_needs_and_no_cuda(composed: Project, strategy: str) -> None:
    probe = (
        "import importlib.util as u; "
        "print([n for n in ('torch','onnxruntime','triton','nvidia','locust','pip') if u.find_spec(n)])"
    )
    out = composed.compose("exec", "-T", f"{strategy}_serving", "python", "-c", probe).stdout
    assert out.strip() == str(["onnxruntime"] if strategy == "onnx" else ["torch"])


def test_pytorch_is_stored_once(composed: Project) -> None:
    """The layer of PyTorch, and the one of all other packages, are the same in each image that has them."""
    layers = {}
    for strategy in ("torch", "batched", "onnx"):
        image = composed.inspect(f"{strategy}_serving")["Image"]
        words = ["docker", "image", "inspect", "--format", "{{json .RootFS.Layers}}", image]
        layers[strategy] = json.loads(
            subprocess.run(words, capture_output=True, text=True, check=True).stdout
        )
    shared = set(layers["torch"]) & set(layers["batched"])
    assert len(shared - set(layers["onnx"])) == 2, layers


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_wrong_model_uri_ends_the_start_with_one_line(composed: Project, strategy: str) -> None:
    setting = "ONNX_MODEL_URI" if strategy == "onnx" else "TORCH_MODEL_URI"
    uri = "gs://models.local/nowhere/model.bin"
    run = composed.compose(
        "run", "--rm", "--no-deps", "-T", f"{strategy}_serving", check=False, **{setting: uri}
    )
    assert run.returncode == 1
    assert uri in run.stderr
    assert "Traceback" not in run.stderr


def test_a_wrong_model_uri_is_told_though_the_service_is_tried_again(composed: Project) -> None:
    uri = "gs://models.local/nowhere/model.bin"
    words = ("up", "--detach", "--no-deps", "--no-build", "--wait", "onnx_serving")
    try:
        up = composed.compose(*words, check=False, ONNX_MODEL_URI=uri)
        logs = composed.compose("logs", "--no-log-prefix", "--tail", "1", "onnx_serving").stdout
    finally:
        composed.compose(*words)
    assert up.returncode != 0
    assert f"cannot start: {uri} does not exist: " in logs


def test_a_store_that_is_down_ends_the_start_with_one_line(composed: Project) -> None:
    composed.compose("stop", "model-store")
    try:
        run = composed.compose(
            "run", "--rm", "--no-deps", "-T", "-e", "STORE_TIMEOUT_S=3", "onnx_serving", check=False
        )
    finally:
        composed.compose("start", "model-store")
        composed.compose("up", "--detach", "--no-build", "model-publisher")
        composed.compose("wait", "model-publisher", check=False)
    assert run.returncode == 1
    assert "gs://models.local/weather/model.onnx" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_stopping_under_load_loses_no_accepted_request(composed: Project, strategy: str) -> None:
    """Every client gets its answer or a clean 503; the process ends with status 0."""
    service, port = f"{strategy}_serving", urlsplit(composed.addresses[strategy]).port
    assert port is not None
    requests = [ENCODINGS[name].request([seed_body()] * 2) for name in MIX]
    try:
        outcomes = asyncio.run(
            until_stopped(port, requests, CLIENTS, lambda: composed.compose("stop", service))
        )
    finally:
        ended = composed.inspect(service)["State"]["ExitCode"]
        composed.compose("up", "--detach", "--no-deps", "--no-build", "--wait", service)
    assert ended == 0
    assert outcomes["200"] >= CLIENTS
    assert outcomes.keys() <= {"200", "503"}


ASK = """
import http.client, sys
host, method, path = sys.argv[1:4]
connection = http.client.HTTPConnection(host, 9023, timeout=30)
headers = dict(pair.split("=") for pair in sys.argv[4:])
connection.request(method, path, b"{}" if method != "GET" else None, headers)
print(connection.getresponse().status)
"""
STORED = "/storage/v1/b/models.local/o/weather%2Fmodel.json"


def asked(project: Project, service: str, *words: str) -> str:
    """What the store answers a container: its status, or how the connection fails."""
    done = project.compose("exec", "-T", service, "python", "-c", ASK, *words, check=False)
    return done.stdout.strip() or done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("GET", STORED), "200"),
        (("DELETE", STORED), "403"),
        (("POST", "/upload/storage/v1/b/models.local/o?uploadType=media&name=weather/model.json"), "403"),
        (("PUT", "/models.local/weather/model.json"), "403"),
        (("PATCH", STORED), "403"),
        (("POST", "/batch/storage/v1"), "403"),
        (("GET", STORED, "X-HTTP-Method-Override=DELETE"), "403"),
        (("GET", "/wipe"), "501"),
        (("GET", "/", "Host=x/wipe?"), "501"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_service_may_read_the_store_and_not_write_it(
    composed: Project, words: tuple[str, ...], status: str
) -> None:
    assert asked(composed, "onnx_serving", "model-store", *words) == status
    assert asked(composed, "onnx_serving", "model-store", "GET", STORED) == "200"


def test_a_service_does_not_reach_the_store_where_it_is_written(composed: Project) -> None:
    networks = composed.inspect("model-store")["NetworkSettings"]["Networks"]
    (address,) = [one["IPAddress"] for name, one in networks.items() if name.endswith("_publishing")]
    probe = f"import socket; socket.create_connection(({address!r}, 9023), timeout=3)"
    for service in ("onnx_serving", "torch_serving"):
        done = composed.compose("exec", "-T", service, "python", "-c", probe, check=False)
        assert done.returncode != 0
        assert "Error" in done.stderr.splitlines()[-1]


@pytest.fixture
def outside() -> Iterator[str]:
    """The address of another host in the network of this host: it knows no way to a container."""
    words = [
        "ip netns add bench-outside",
        "ip link add bench-out0 type veth peer name bench-out1 netns bench-outside",
        "ip addr add 198.51.100.1/30 dev bench-out0",
        "ip link set bench-out0 up",
        "ip -n bench-outside addr add 198.51.100.2/30 dev bench-out1",
        "ip -n bench-outside link set bench-out1 up",
    ]
    try:
        for word in words:
            if subprocess.run(word.split(), capture_output=True, check=False).returncode:
                pytest.skip("only root can make a network beside this one")
        server = ["ip", "netns", "exec", "bench-outside", sys.executable, "-m", "http.server", "8000"]
        with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection(("198.51.100.2", 8000), 1):
                    break
                time.sleep(0.05)
            yield "198.51.100.2"
            process.kill()
    finally:
        subprocess.run(["ip", "link", "del", "bench-out0"], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", "bench-outside"], capture_output=True, check=False)


def test_a_service_has_no_way_out(composed: Project, outside: str) -> None:
    """Neither by an address nor by a name; a container of another network has one."""
    probe = ["python", "-c", f"import socket; socket.create_connection(({outside!r}, 8000), timeout=5)"]
    image = "model-serving-bench/onnx_serving"
    assert subprocess.run(["docker", "run", "--rm", image, *probe], check=False).returncode == 0
    name = "import socket; socket.gethostbyname('example.com')"
    for service in (f"{strategy}_serving" for strategy in STRATEGIES):
        for words in (probe, ["python", "-c", name]):
            done = composed.compose("exec", "-T", service, *words, check=False)
            assert done.returncode == 1, (service, words)
            assert re.match(r"TimeoutError|OSError|socket.gaierror", done.stderr.splitlines()[-1])


def test_all_comes_up_where_dockers_client_has_a_proxy(composed: Project, tmp_path: Path) -> None:
    """As in many firms: Docker puts the proxy into every container, and nobody answers at it here."""
    proxies = dict.fromkeys(("httpProxy", "httpsProxy", "allProxy"), "http://127.0.0.1:9")
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": proxies}}), encoding="utf-8")
    own = Path.home() / ".docker" / "cli-plugins"
    if own.is_dir():
        (tmp_path / "cli-plugins").symlink_to(own)
    again = ("up", "--detach", "--no-build", "--force-recreate")
    try:
        composed.compose(*again, "--no-deps", "model-publisher", DOCKER_CONFIG=str(tmp_path))
        composed.compose("wait", "model-publisher", check=False)
        published = composed.inspect("model-publisher")
        assert any(line.startswith("HTTP_PROXY=") for line in published["Config"]["Env"])
        assert published["State"]["ExitCode"] == 0, composed.compose("logs", "model-publisher").stdout
        composed.compose(*again, "--no-deps", "--wait", "onnx_serving", DOCKER_CONFIG=str(tmp_path))
    finally:
        composed.compose(*again, "--no-deps", "--wait", "onnx_serving")
    assert composed.inspect("onnx_serving")["State"]["Health"]["Status"] == "healthy"


def test_a_token_stays_out_of_images_and_logs(composed: Project) -> None:
    """Set while an image is built and while a service starts, it is in no layer and on no line."""
    token = "ya29.not-a-real-token"  # noqa: S105  # a made-up value to look for
    composed.compose("build", "onnx_serving", CLOUDSDK_AUTH_ACCESS_TOKEN=token)
    start = composed.compose(
        *("run", "--rm", "--no-deps", "-T", "-e", "ONNX_MODEL_URI=gs://models.local/nowhere", "onnx_serving"),
        check=False,
        CLOUDSDK_AUTH_ACCESS_TOKEN=token,
    )
    assert "gs://models.local/nowhere" in start.stderr
    assert token not in start.stdout + start.stderr
    image = "model-serving-bench/onnx_serving"
    for words in (["docker", "history", "--no-trunc", image], ["docker", "inspect", image]):
        assert token not in subprocess.run(words, capture_output=True, text=True, check=True).stdout
