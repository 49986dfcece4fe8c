"""Publishing to a real emulator process: what arrives is what was sent, and failures are one clear line."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from modelkit import ModelkitError, ModelkitUsageError
from modelkit.graph import check_graph
from modelkit.manifest import GRAPH_WEIGHTS_KEY, file_entry, read_json
from modelkit.publish import Destination, publish
from tests.running.ports import free_port

TO = "gs://models/weather"


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An emulator of its own for this module; its URL."""
    port = free_port()
    program = Path(sys.executable).parent / "gcp-storage-emulator"
    command = [program, "start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(2000):
        assert process.poll() is None, "the emulator ended at once"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the emulator does not listen")


def _fetch(store: str, name: str) -> bytes:
    url = f"{store}/storage/v1/b/models/o/{name.replace('/', '%2F')}?alt=media"
    with urllib.request.urlopen(url, timeout=120) as answer:  # noqa: S310 - a loopback URL made above
        return bytes(answer.read())


def test_what_is_published_can_be_downloaded_and_agrees(
    store: str, graph: Path, images: Path, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    publish(model_dir, images, graph, TO)
    for file in ("weights.safetensors", "model.onnx", "model.json"):
        (tmp_path / file).write_bytes(_fetch(store, f"weather/{file}"))
    manifest = read_json(tmp_path / "model.json")
    for file in ("weights.safetensors", "model.onnx"):
        assert manifest["files"][file] == file_entry(tmp_path / file)
    assert (tmp_path / "weights.safetensors").read_bytes() == (model_dir / "weights.safetensors").read_bytes()
    assert check_graph(tmp_path / "model.onnx", images, tmp_path).images >= 44


def test_publishing_again_uploads_no_weights_twice(
    store: str,
    graph: Path,
    images: Path,
    model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    publish(model_dir, images, graph, "gs://models/again")
    publish(model_dir, images, graph, "gs://models/again")
    assert "gs://models/again/weights.safetensors is up to date" in capsys.readouterr().out


def test_a_graph_of_other_weights_is_exported_again(
    store: str, graph: Path, images: Path, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    stale = onnx.load(graph)
    onnx.helper.set_model_props(stale, {GRAPH_WEIGHTS_KEY: "0" * 64})
    onnx.save(stale, tmp_path / "model.onnx")
    publish(model_dir, images, tmp_path / "model.onnx", "gs://models/stale")
    stated = onnx.load(tmp_path / "model.onnx").metadata_props[0].value
    assert stated == file_entry(model_dir / "weights.safetensors")["sha256"]


def test_the_manifest_is_uploaded_last(
    store: str,
    graph: Path,
    images: Path,
    model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    publish(model_dir, images, graph, "gs://models/ordered")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("gs://")]
    assert len(lines) == 3
    assert lines[-1].startswith("gs://models/ordered/model.json uploaded")


def test_a_store_that_is_down_is_named_with_the_remedy(
    graph: Path, images: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ModelkitError, match=r"gs://models/weather/.* STORAGE_EMULATOR_HOST is right"):
        publish(model_dir, images, graph, TO, retry_for_s=1)


def test_the_command_ends_with_one_line_and_status_1(graph: Path) -> None:
    environment = os.environ | {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9", "MODEL_DESTINATION": TO}
    command = [sys.executable, "-m", "modelkit", "publish", "--graph", str(graph), "--model-dir", "nowhere"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "nowhere" in ended.stderr


def test_weights_that_the_manifest_does_not_describe_are_refused(
    store: str, graph: Path, images: Path, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    (tmp_path / "model.json").write_bytes((model_dir / "model.json").read_bytes())
    (tmp_path / "weights.safetensors").write_bytes((model_dir / "weights.safetensors").read_bytes()[:-1])
    with pytest.raises(ModelkitError, match="not the file that its manifest describes"):
        publish(tmp_path, images, graph, "gs://models/refused")


@pytest.mark.parametrize("uri", ["models/weather", "s3://models/weather", "gs://", "gs:///weather"])
def test_a_destination_that_is_no_bucket_is_a_usage_error(uri: str) -> None:
    with pytest.raises(ModelkitUsageError, match="gs://BUCKET/PREFIX"):
        Destination.parse(uri)


def test_object_names_follow_the_prefix() -> None:
    assert Destination.parse("gs://models/a/b/").object_name("model.onnx") == "a/b/model.onnx"
    assert Destination.parse("gs://models").uri("model.onnx") == "gs://models/model.onnx"
