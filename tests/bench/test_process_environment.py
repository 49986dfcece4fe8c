"""A service's environment as a local process needs it: loopback for hostnames, scratch for paths."""

import getpass
import json
import os
import platform
import time
from pathlib import Path

import msgspec
import pytest
import requests

from bench.cores import Cores, choose_cores, parse_cores
from bench.errors import UsageError
from bench.measure.machine.fingerprint import chosen, cpu_caches, fingerprint, is_virtual, smt, turbo
from bench.measure.runtime.process_runtime import ProcessRuntime
from bench.measure.runtime.registry import load_registry
from bench.model import RunSettings

COMPOSE = """
services:
  model-store:
    command: ["python", "-m", "http.server"]
    labels: {bench.role: support, bench.port: "9023"}
  thing:
    command: ["python", "-m", "thing"]
    environment:
      PORT: "8080"
      STORE: http://model-store:9023
      BUCKETS: models.local=http://model-store:9023
      URI: gs://model-store-bucket/weights
      CACHE: /tmp/models
      KEY: /run/secrets/key.json
      PLAIN: /temporary
      MODEL: file:///models/model.onnx
      ELSEWHERE: file:///other/model.onnx
    tmpfs: ["/tmp:size=1m"]
    volumes: ["./key.json:/run/secrets/key.json:ro", "./model:/models:ro"]
    ports: ["127.0.0.1:18081:8080"]
    labels: {bench.strategy: thing, bench.port: "8080"}
"""


def test_values_that_only_hold_in_a_container_are_translated(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    registry = load_registry(tmp_path, {})
    runtime = ProcessRuntime(registry, Cores((0,), (0,), (0,)))
    found = runtime.environment(registry.services["thing"], tmp_path / "scratch")
    runtime.close()
    assert found["PORT"] == "18081"
    assert found["STORE"] == "http://127.0.0.1:9023"
    assert found["BUCKETS"] == "models.local=http://127.0.0.1:9023"
    assert found["URI"] == "gs://model-store-bucket/weights"
    assert found["CACHE"] == str(tmp_path / "scratch" / "models")
    assert Path(found["KEY"]) == tmp_path / "key.json"
    assert found["PLAIN"] == "/temporary"
    assert found["MODEL"] == (tmp_path / "model" / "model.onnx").as_uri()
    assert found["ELSEWHERE"] == "file:///other/model.onnx"


def test_a_process_finds_the_modules_that_its_image_gets(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    build = "{context: ., additional_contexts: {code: mine}}"
    text = COMPOSE.replace("  thing:\n", f"  thing:\n    build: {build}\n")
    (tmp_path / "compose.yaml").write_text(text, encoding="utf-8")
    registry = load_registry(tmp_path, {})
    runtime = ProcessRuntime(registry, Cores((0,), (0,), (0,)))
    found = runtime.environment(registry.services["thing"], tmp_path / "scratch")
    runtime.close()
    assert found["PYTHONPATH"] == str(tmp_path / "mine")


@pytest.mark.parametrize("build", ["services", "{context: services, dockerfile: thing/Dockerfile}"])
def test_a_process_runs_where_its_image_is_built_from(tmp_path: Path, build: str) -> None:
    """A module beside the Dockerfile is found, as it is in the container."""
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "thing.py").write_text("import sys; sys.exit(7)", encoding="utf-8")
    text = COMPOSE.replace("  thing:\n", f"  thing:\n    build: {build}\n")
    (tmp_path / "compose.yaml").write_text(text, encoding="utf-8")
    registry = load_registry(tmp_path, {})
    runtime = ProcessRuntime(registry, choose_cores(None, None))
    try:
        started = runtime.start(registry.strategies["thing"])
        while started.alive():
            time.sleep(0.01)
        assert [doubt.text for doubt in started.fate()] == ["the process exited with 7"]
        started.stop()
    finally:
        runtime.close()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("own", ["", "corp.example,10.0.0.1"])
def test_a_process_gets_the_proxies_but_for_what_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, own: str
) -> None:
    """As a container gets them from Docker's client configuration."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", own)
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    registry = load_registry(tmp_path, {})
    runtime = ProcessRuntime(registry, Cores((0,), (0,), (0,)))
    found = runtime.environment(registry.services["thing"], tmp_path / "scratch")
    runtime.close()
    assert found[variable] == "http://proxy.example:3128"
    hosts = [*filter(None, own.split(",")), "localhost", "127.0.0.1", "::1"]
    assert found["NO_PROXY"].split(",") == found["no_proxy"].split(",") == hosts
    for host in ("127.0.0.1", "localhost"):
        assert requests.utils.should_bypass_proxies(f"http://{host}:9023/x", found["no_proxy"])


def test_without_a_proxy_a_process_is_told_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    registry = load_registry(tmp_path, {})
    runtime = ProcessRuntime(registry, Cores((0,), (0,), (0,)))
    found = runtime.environment(registry.services["thing"], tmp_path / "scratch")
    runtime.close()
    assert not [name for name in found if name.lower().endswith("_proxy")]


@pytest.mark.parametrize(("text", "cores"), [("0", (0,)), ("2-3,0", (0, 2, 3)), ("1,1", (1,))])
def test_lists_of_cores_are_read(text: str, cores: tuple[int, ...]) -> None:
    assert parse_cores(text) == cores


@pytest.mark.parametrize("text", ["", "a", "1-", "3-2", "-1"])
def test_what_is_no_list_of_cores_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_cores(text)


def test_driver_and_service_get_disjoint_cores_where_there_are_two() -> None:
    cores = choose_cores(None, None)
    assert cores.disjoint == (len(cores.available) > 1)


def kernel_tells(folder: Path, **texts: str) -> Path:
    """A folder of kernel files; "__" in a name is a slash."""
    for name, text in texts.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return folder


def test_caches_are_told_by_name_and_in_bytes(tmp_path: Path) -> None:
    for index, (level, kind, size) in enumerate(
        [
            ("1", "Data", "48K"),
            ("1", "Instruction", "32K"),
            ("2", "Unified", "2M"),
            ("3", "Unified", "32768K"),
        ]
    ):
        kernel_tells(tmp_path / f"index{index}", level=level, type=kind, size=size)
    assert cpu_caches(tmp_path) == {"L1d": 49152, "L1i": 32768, "L2": 2097152, "L3": 33554432}
    assert cpu_caches(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ({"intel_pstate__no_turbo": "0", "cpufreq__boost": "0"}, True),
        ({"intel_pstate__no_turbo": "1"}, False),
        ({"cpufreq__boost": "1"}, True),
        ({"cpufreq__boost": "0"}, False),
        ({}, None),
    ],
)
def test_turbo_is_read_from_either_driver_and_unknown_without_one(
    tmp_path: Path, texts: dict[str, str], found: bool | None
) -> None:
    assert turbo(kernel_tells(tmp_path, **texts)) is found


def test_threading_and_virtualisation_are_told_or_unknown(tmp_path: Path) -> None:
    assert smt(kernel_tells(tmp_path, smt__active="1")) is True
    assert smt(tmp_path / "none") is None
    assert is_virtual("model name\t: x\nflags\t\t: fpu hypervisor lahf_lm\n") is True
    assert is_virtual("flags\t\t: fpu hypervisors\n") is False
    assert is_virtual(None) is None
    assert chosen("always [madvise] never") == "madvise"
    assert chosen(None) is None


def test_the_fingerprint_is_plain_data_and_names_no_folder_host_or_user(tmp_path: Path) -> None:
    text = json.dumps(
        msgspec.to_builtins(fingerprint(tmp_path, Cores((0,), (0,), (0,)), RunSettings(seed=1)))
    )
    for secret in (str(tmp_path), str(Path.home()), str(Path.cwd()), platform.node()):
        assert secret not in text
    if getpass.getuser() != "root":
        assert getpass.getuser() not in text
    found = json.loads(text)
    assert {"cpu_caches", "turbo", "smt", "libc", "clock_source", "stolen_since_boot"} <= found.keys()
    assert 0 <= found["stolen_since_boot"] < 1
