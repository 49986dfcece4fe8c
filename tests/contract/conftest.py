"""The services under contract: the project's containers where an engine answers, else processes.

rust_serving is always a process: a container of it takes minutes to build, and shows nothing more.
REQUIRE_ENGINE=1 insists on containers; DOCKER_HOST=unix:///nowhere makes them processes.
"""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.contract.encodings import ENCODINGS, Encoding, Request
from tests.running.compose import engine_answers
from tests.running.processes import SERVICES, Running, post
from tests.running.rust import RUST


@dataclass(frozen=True, slots=True)
class Service:
    """One strategy's running service."""

    name: str
    url: str

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    def post(
        self, body: bytes, content_type: str | None = "image/jpeg", path: str = "/predict/", **headers: str
    ) -> requests.Response:
        """POST; a header is named in Python's way, X_Request_Id."""
        return post(self.url + path, body, content_type, **headers)

    def send(self, request: Request, **headers: str) -> requests.Response:
        """POST what an encoding made."""
        sent = {**request.headers, **{key.replace("_", "-"): value for key, value in headers.items()}}
        return requests.post(
            self.url + request.path, request.body, headers=sent, timeout=120, allow_redirects=False
        )

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=120, allow_redirects=False)


@pytest.fixture(scope="session")
def services(request: pytest.FixtureRequest) -> dict[str, Service]:
    """The three services in Python, ready."""
    if os.environ.get("REQUIRE_ENGINE") == "1" or engine_answers():
        found: dict[str, str] = request.getfixturevalue("composed").addresses
    else:
        found = {name: one.url for name, one in request.getfixturevalue("running").items()}
    made = {name: Service(name, url) for name, url in found.items()}
    for service in made.values():
        _wait_until_ready(service)
    return made


def _wait_until_ready(service: Service) -> None:
    """Another folder's tests may have just put the project back, and do not wait until it serves again."""
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        with contextlib.suppress(requests.ConnectionError):
            if service.get("/v2/health/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{service.name} was not ready within two minutes")


@pytest.fixture(scope="session")
def rust(launch: Callable[..., Running], environment: Callable[[str], dict[str, str]]) -> Service:
    """rust_serving, ready; tests/contract/left_out.py says what it is not asked for."""
    process = launch("rust", **environment("rust"))
    process.wait_until_ready()
    return Service(process.name, process.url)


@pytest.fixture(scope="session")
def native_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the module native_pixels, which cargo builds."""
    built = import_module("tests.running.native_pixels")  # here, because only tests of Rust need it
    folder: Path = built.native_pixels(tmp_path_factory.mktemp("native_pixels")).folder
    return folder


# other code for the network: the service, the file of its model, and the settings that choose it
OTHER_ENGINES: dict[str, tuple[str, str, dict[str, str]]] = {
    "openvino": ("onnx", "network_plain.onnx", {"ENGINE": "openvino", "PIXELS": "pillow"}),
    "openvino_bf16": (
        "onnx",
        "network_plain.onnx",
        {"ENGINE": "openvino", "PRECISION": "bf16", "PIXELS": "pillow"},
    ),
    "torch_channels_last": ("torch", "weights.safetensors", {"COMPUTE": "channels_last"}),
    "torch_fused": ("torch", "weights.safetensors", {"COMPUTE": "fused"}),
}


@pytest.fixture(scope="session", params=OTHER_ENGINES)
def with_engine(
    request: pytest.FixtureRequest,
    launch: Callable[..., Running],
    environment: Callable[[str], dict[str, str]],
) -> Service:
    """A service with other code for its network, ready; asked for a part of the contract."""
    name, file, settings = OTHER_ENGINES[request.param]
    variables = {
        variable: value if variable == "LOCAL_STORE" else value.rpartition("/")[0] + f"/{file}"
        for variable, value in environment(name).items()
    }
    process = launch(name, **variables, **settings)
    process.wait_until_ready()
    return Service(process.name, process.url)


@pytest.fixture(
    scope="session",
    params=[
        ("onnx", "pillow"),
        ("onnx", "simd"),
        ("onnx", "scaled"),
        pytest.param(("onnx", "native"), marks=pytest.mark.rust),
        ("torch", "simd"),
        ("batched", "simd"),
        ("batched on ONNX Runtime", "simd"),
    ],
    ids=" ".join,
)
def prepared(
    request: pytest.FixtureRequest,
    launch: Callable[..., Running],
    environment: Callable[[str], dict[str, str]],
) -> Service:
    """A service, ready, with images prepared outside of its graph; asked for a part of the contract."""
    engine, pixels = request.param
    name, on_onnx = engine.split()[0], "onnx" in engine.lower()
    variables = environment("onnx" if on_onnx else name)
    if on_onnx:
        variables["ONNX_MODEL_URI"] = variables["ONNX_MODEL_URI"].replace("model.onnx", "network.onnx")
    if pixels in ("simd", "scaled"):
        pytest.importorskip("cykooz_resizer")
    if pixels == "native":
        variables["PYTHONPATH"] = str(request.getfixturevalue("native_folder"))
    process = launch(name, **variables, PIXELS=pixels)
    process.wait_until_ready()
    return Service(process.name, process.url)


@pytest.fixture(params=[*SERVICES, RUST])
def service(request: pytest.FixtureRequest) -> Service:
    """One of the services, ready; shared by all tests."""
    found: Service | dict[str, Service] = request.getfixturevalue(
        "rust" if request.param == "rust" else "services"
    )
    return found if isinstance(found, Service) else found[request.param]


@pytest.fixture(scope="session")
def encodings() -> dict[str, Encoding]:
    """Every way to send images, by name: `.request(images)` to `service.send`, `.readings(answer)`."""
    return ENCODINGS


@pytest.fixture(params=list(ENCODINGS))
def encoding(request: pytest.FixtureRequest) -> Encoding:
    """Each of the encodings."""
    return ENCODINGS[request.param]


@pytest.fixture(params=[name for name, one in ENCODINGS.items() if one.takes_several])
def list_encoding(request: pytest.FixtureRequest) -> Encoding:
    """Each of the encodings that put several images into one request."""
    return ENCODINGS[request.param]
