"""Publishing to a real emulator process: what arrives is what was sent, and failures are one clear line."""

import os
import shutil
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
from modelkit.__main__ import main
from modelkit.agreement import check_agreement
from modelkit.destination import BucketDestination, Destination, FolderDestination
from modelkit.graph import check_graph, check_network
from modelkit.manifest import GRAPH_WEIGHTS_KEY, file_entry, network_beside, read_json
from modelkit.publish import publish
from tests.modelkit.graphs import linear
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
        process.wait(200)


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
    forms = ["weights.safetensors", "model.onnx", "network.onnx", "network_plain.onnx", "network_int8.onnx"]
    for file in (*forms, "model.json"):
        (tmp_path / file).write_bytes(_fetch(store, f"weather/{file}"))
    manifest = read_json(tmp_path / "model.json")
    assert manifest["files"] == {file: file_entry(tmp_path / file) for file in forms}
    assert (tmp_path / "weights.safetensors").read_bytes() == (model_dir / "weights.safetensors").read_bytes()
    assert check_graph(tmp_path / "model.onnx", images, tmp_path).images >= 44
    assert check_network(tmp_path / "network.onnx", images, tmp_path).images >= 44
    in_int8 = check_agreement(tmp_path / "network_int8.onnx", images, tmp_path)
    assert in_int8.agreeing >= 0.99 * in_int8.images


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


@pytest.mark.nightly
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


def test_a_graph_without_its_network_beside_it_is_exported_again(
    store: str, graph: Path, images: Path, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    shutil.copy(graph, tmp_path / "model.onnx")
    publish(model_dir, images, tmp_path / "model.onnx", "gs://models/alone")
    assert network_beside(tmp_path / "model.onnx").name == "model.network.onnx"
    assert network_beside(tmp_path / "model.onnx").is_file()


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
    assert len(lines) == 6
    assert lines[-1].startswith("gs://models/ordered/model.json uploaded")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_not_asked_for_the_emulator(
    store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    (tmp_path / "file").write_bytes(b"content")
    Destination.parse(f"gs://models/{variable}").put([tmp_path / "file"], retry_for_s=1)
    monkeypatch.delenv(variable)
    assert _fetch(store, f"{variable}/file") == b"content"


def test_a_place_in_a_bucket_that_holds_another_model_is_left_as_it_is(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    words = ("add", str(linear(tmp_path / "a.onnx")), "--to", "gs://models/one", "--name")
    assert main([*words, "first"]) == 0
    before = _fetch(store, "one/model.json"), _fetch(store, "one/model.onnx")
    assert main([*words, "second"]) == 1
    said = capsys.readouterr().err
    assert "gs://models/one holds the model first: name another place, or empty it, or give the model" in said
    assert (_fetch(store, "one/model.json"), _fetch(store, "one/model.onnx")) == before
    assert main([*words, "first", "--version", "2"]) == 0
    assert b'"version": "2"' in _fetch(store, "one/model.json")


def test_a_manifest_in_a_bucket_that_names_no_model_is_left_as_it_is(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    (tmp_path / "model.json").write_text("no JSON")
    Destination.parse("gs://models/strange").put([tmp_path / "model.json"])
    words = ("add", str(linear(tmp_path / "a.onnx")), "--to", "gs://models/strange", "--name", "mine")
    assert main([*words]) == 1
    assert (
        "gs://models/strange holds a model.json that names no model: name another" in capsys.readouterr().err
    )
    assert _fetch(store, "strange/model.json") == b"no JSON"


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


@pytest.mark.parametrize("uri", ["s3://models/weather", "gs://", "gs:///weather", "file://host/x", ""])
def test_a_destination_that_is_no_place_is_a_usage_error(uri: str) -> None:
    with pytest.raises(ModelkitUsageError, match="give a folder, file:///FOLDER or gs://BUCKET/PREFIX"):
        Destination.parse(uri)


def test_object_names_follow_the_prefix() -> None:
    assert BucketDestination("models", "a/b").object_name("model.onnx") == "a/b/model.onnx"
    assert Destination.parse("gs://models/a/b/") == BucketDestination("models", "a/b")
    assert Destination.parse("gs://models").uri("model.onnx") == "gs://models/model.onnx"


def test_a_folder_is_named_by_its_path_or_its_address(tmp_path: Path) -> None:
    folder = tmp_path / "a model"
    assert Destination.parse(str(folder)) == FolderDestination(folder)
    assert Destination.parse(folder.as_uri()) == FolderDestination(folder)
    assert Destination.parse("models/weather").uri("model.onnx") == "models/weather/model.onnx"


def test_the_model_can_be_published_to_a_folder(
    graph: Path, images: Path, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(model_dir, images, graph, str(tmp_path / "published"))
    assert sorted(file.name for file in (tmp_path / "published").iterdir()) == [
        "model.json",
        "model.onnx",
        "network.onnx",
        "network_int8.onnx",
        "network_plain.onnx",
        "weights.safetensors",
    ]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(str(tmp_path))]
    assert lines[-1].startswith(f"{tmp_path}/published/model.json written")
    assert check_graph(tmp_path / "published" / "model.onnx", images, tmp_path / "published").images >= 44


def test_a_model_of_ones_own_goes_to_a_bucket_as_the_committed_one_does(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    file = linear(tmp_path / "given.onnx")
    assert main(["add", str(file), "--name", "mine", "--to", "gs://models/mine"]) == 0
    for name in ("model.onnx", "model.json"):
        (tmp_path / name).write_bytes(_fetch(store, f"mine/{name}"))
    assert read_json(tmp_path / "model.json")["files"] == {"model.onnx": file_entry(tmp_path / "model.onnx")}


def test_a_folder_below_a_file_is_refused_before_any_work(
    graph: Path, images: Path, model_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelkitError, match="cannot be written: name a folder"):
        publish(model_dir, images, graph, str(tmp_path / "file" / "model"))


def test_a_folder_of_another_model_is_left_as_it_is(
    model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The committed weights are in a folder of this name: they are not to be lost for a try."""
    folder = tmp_path / "model"
    shutil.copytree(model_dir, folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    words = ["--name", "mine", "--to", str(folder)]
    assert main(["add", str(linear(tmp_path / "given.onnx")), *words]) == 1
    name = read_json(folder / "model.json")["name"]
    assert f"model holds the model {name}: name another place, or empty it" in capsys.readouterr().err
    (folder / "model.json").write_text("[]")
    assert main(["add", str(tmp_path / "given.onnx"), *words]) == 1
    assert "model holds a model.json that names no model: name another place" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before | {"model.json": b"[]"}


@pytest.mark.parametrize("given", ["model.onnx", "other.onnx"])
def test_a_graph_of_the_users_is_not_replaced(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    own = linear(tmp_path / "model.onnx").read_bytes()
    linear(tmp_path / "other.onnx", opset=18)
    assert main(["add", given, "--name", "mine", "--to", "."]) == 1
    assert "name another folder" in capsys.readouterr().err
    assert (tmp_path / "model.onnx").read_bytes() == own


def test_the_same_model_is_replaced_and_what_it_has_no_more_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    words = ["--name", "mine", "--to", str(folder)]
    assert main(["add", str(linear(tmp_path / "first.onnx")), *words]) == 0
    assert capsys.readouterr().err == ""
    (folder / "program.pt2").write_bytes(b"of an earlier publication")
    assert main(["add", str(linear(tmp_path / "second.onnx", opset=18)), *words]) == 0
    error = capsys.readouterr().err
    assert error == f"{folder}/program.pt2 is of an earlier publication, and no service loads it: remove it\n"


def test_what_a_bucket_has_of_an_earlier_publication_is_named(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store)
    place = Destination.parse("gs://models/left")
    for name in ("program.pt2", "model.json"):
        (tmp_path / name).write_bytes(name.encode())
    place.put([tmp_path / "program.pt2", tmp_path / "model.json"])
    assert capsys.readouterr().err == ""
    place.put([linear(tmp_path / "model.onnx"), tmp_path / "model.json"])
    assert capsys.readouterr().err.startswith("gs://models/left/program.pt2 is of an earlier publication")


@pytest.mark.nightly  # in every run a graph without its network is exported anew, by the same words
def test_without_a_graph_it_is_exported_anew(images: Path, model_dir: Path, tmp_path: Path) -> None:
    """As the README has it: the graph is a step between, which nobody has to keep."""
    words = [
        "publish",
        "--model-dir",
        str(model_dir),
        "--images",
        str(images),
        "--to",
        str(tmp_path / "here"),
    ]
    assert main(words) == 0
    manifest = read_json(tmp_path / "here" / "model.json")
    assert manifest["files"]["model.onnx"] == file_entry(tmp_path / "here" / "model.onnx")
