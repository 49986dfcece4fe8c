"""A file that is no model costs one line: what it is, and how one of the three kinds is made of it."""

import bz2
import gzip
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from tests.modelkit.adding import add, manifest
from tests.modelkit.graphs import linear

TAKEN = "is not an ONNX graph, a .pt2 program or a .safetensors file, but "
SAVE = "save its tensors with safetensors.torch.save_file(model.state_dict()"


def _written(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _zip(name: str, *members: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / name, "w") as archive:
            for member in members:
                archive.writestr(member, "{}")
        return folder / name

    return make


def _array(name: str, **arrays: np.ndarray) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        if arrays:
            np.savez(folder / name, **arrays)
        else:
            np.save(folder / name, np.zeros(2))
        return folder / name

    return make


def _cut(folder: Path) -> Path:
    content = linear(folder / "whole.onnx").read_bytes()
    (folder / "cut.onnx").write_bytes(content[: len(content) // 2])
    return folder / "cut.onnx"


def _folder(inside: str = "") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "model").mkdir()
        if inside:
            (folder / "model" / inside).write_bytes(b"\x08\x01")
        return folder / "model"

    return make


def _json(content: object) -> bytes:
    return json.dumps(content).encode()


def _one_tensor() -> bytes:
    return bytes(numpy_helper.from_array(np.zeros(3)).SerializeToString())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_written("README.md", b"# A project\n\n\xc3\xbcber\n"), TAKEN + "text: name the model itself"),
        (_written("long.md", "ä".encode() * 5000), TAKEN + "text: name the model itself"),
        (_written("odd.md", b" " + "ä".encode() * 5000), TAKEN + "text: name the model itself"),
        (_written("model.onnx", b"<!DOCTYPE html><html></html>"), "a page of the web: download the model"),
        (_written("model.py", b"import torch\n"), "code of Python: export the network that it makes"),
        (_written("a.index.json", _json({"weight_map": {}})), TAKEN + "JSON: name the model itself"),
        (_written("model.txtpb", b"ir_version: 10\n"), "a graph written as text: onnx.load it by its format"),
        (_written("model.onnx", b"version https://git-lfs.github.com/spec/v1\n"), "run git lfs pull"),
        (_written("empty.onnx", b""), "is empty: copy it again, or export it again"),
        (_written("empty.safetensors", b""), "is empty: copy it again, or export it again"),
        (_written("empty.pt2", b""), "is empty: copy it again, or export it again"),
        (_written("m.pkl", pickle.dumps({"a": 1})), TAKEN + "a pickle, which could run any code: " + SAVE),
        (
            _written("m.onnx", pickle.dumps({"a": 1}, 2)),
            TAKEN + "a pickle, which could run any code: " + SAVE,
        ),
        (_written("m.bin", b"\x80\x04\x95csklearn.svm"), "a pickle of scikit-learn, .*skl2onnx.to_onnx"),
        (
            _written("m.joblib", b"\x78\x9c\xff\x00"),
            "by its name a pickle, which could run any code: " + SAVE,
        ),
        (_zip("m.pt", "m/data.pkl", "m/data/0"), TAKEN + "a pickle of PyTorch, .*: " + SAVE),
        (_zip("m.pt", "m/data.pkl", "m/code/a.py"), "TorchScript: export the module with torch.export"),
        (_zip("m.keras", "metadata.json", "model.weights.h5"), r"a model of Keras: make a graph of it with"),
        (_zip("m.zip", "model.onnx"), TAKEN + "a zip archive: name what it holds, unpacked"),
        (_array("a.npz", x=np.zeros(2)), TAKEN + "arrays of NumPy: export the model"),
        (_array("a.npy"), TAKEN + "an array of NumPy: export the model"),
        (_written("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(99)), TAKEN + "HDF5, a model of Keras: make a graph"),
        (
            _written("m.onnx", b"\x89HDF\r\n\x1a\n" + bytes(99)),
            TAKEN + "HDF5, a model of Keras: make a graph",
        ),
        (_written("m.tflite", b"\x1c\0\0\0TFL3" + bytes(99)), r"TensorFlow Lite: .*tf2onnx.convert --tflite"),
        (_written("frozen.pb", b"\x0a\x10\x0a\x01x"), r"by its name a graph of TensorFlow: .*--graphdef"),
        (_written("m.ort", b"\x1c\0\0\0ORTM" + bytes(99)), "ONNX Runtime's own format: give the .onnx file"),
        (_written("m.gguf", b"GGUF\x03\0\0\0"), "GGUF, weights of llama.cpp: take the model's .safetensors"),
        (_written("m.onnx.gz", gzip.compress(b"x")), "compressed by gzip: name what it holds, unpacked"),
        (_written("m.onnx.bz2", bz2.compress(b"x")), "compressed by bzip2: name what it holds, unpacked"),
        (_written("zeros.onnx", bytes(1000)), "is not a whole .onnx file: copy it again, or export it again"),
        (_written("cut.safetensors", b"\x20\0\0"), "is not a whole .safetensors file: copy it again"),
        (_written("cut.pt2", b"\xff\xfe\x00"), "is not a whole .pt2 file: copy it again, or export it again"),
        (
            _written("x.png", b"\x89PNG\r\n\x1a\n" + bytes(9)),
            "of a kind that is not known here: export its model",
        ),
        (
            _written("tensor.pb", _one_tensor()),
            "is not a whole ONNX graph: copy it again, or export it again",
        ),
        (_cut, "is not a whole ONNX graph: copy it again, or export it again"),
        (_folder(), "is a folder: name an ONNX graph, a .pt2 program or a .safetensors file in it"),
        (_folder("saved_model.pb"), TAKEN + "a SavedModel: .*tf2onnx.convert --saved-model"),
        (lambda _: Path("/dev/null"), "is not a plain file: name an ONNX graph"),
    ],
)
def test_what_is_no_model_is_said_in_one_line_with_the_way_to_a_model(
    make: Callable[[Path], Path], says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, place = add(make(tmp_path), to=tmp_path / "published")
    error = capfd.readouterr().err
    assert (status, error.count("\n")) == (1, 1), error
    assert re.search(re.escape(says).replace(r"\.\*", ".*"), error), error
    assert not place.exists()


@pytest.mark.parametrize("name", ["graph.pt", "graph.bin", "graph", "graph.json", 'a b "ü".onnx'])
def test_a_graph_is_taken_whatever_its_name_is(name: str, tmp_path: Path) -> None:
    status, place = add(linear(tmp_path / "a.onnx").rename(tmp_path / name))
    assert (status, manifest(place)["batch"]) == (0, "any")


def test_a_name_that_no_file_can_have_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(tmp_path / ("n" * 300), to=tmp_path / "to")[0] == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "cannot be read (File name too long)" in told


@pytest.mark.parametrize("of_newer_version", [True, False])
def test_an_archive_that_zipfile_does_not_know_is_damaged(
    of_newer_version: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One needs a version beyond any, in another a name is no UTF-8 though it says so."""
    content = bytearray(_zip("model.pt2", "\N{LATIN SMALL LETTER Y WITH DIAERESIS}")(tmp_path).read_bytes())
    if of_newer_version:
        content[content.index(b"PK\x01\x02") + 6] = 200
    (tmp_path / "model.pt2").write_bytes(content.replace(b"\xc3\xbf", b"\xff\xff"))
    assert add(tmp_path / "model.pt2", to=tmp_path / "to")[0] == 1
    told = capsys.readouterr().err
    assert "model.pt2 is damaged: copy it again" in told
    assert told.count("\n") == 1
