"""What a file holds, told by its content; of a file that is no model, what it is. No file is unpickled."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from modelkit import ModelkitError

Kind = Literal["graph", "program", "weights"]
TAKEN = "an ONNX graph, a .pt2 program or a .safetensors file"
_READ_BYTES = 4096
_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
# the first field of a graph, its IR version
_GRAPH = b"\x08"
_HEADER_BYTES = 8
_LONGEST_HEADER = 100_000_000
_SPACES = frozenset(b"\t\n\r\f")
_FIRST_PRINTABLE = 32
_SAVE_WEIGHTS = "save its tensors with safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
_PICKLE_OF_PYTORCH = f"a pickle of PyTorch, which could run any code: {_SAVE_WEIGHTS}"
_PICKLE_OF_SKLEARN = (
    "a pickle of scikit-learn, which could run any code: "
    "convert the model with skl2onnx.to_onnx(..., options={'zipmap': False})"
)
_ANY_PICKLE = f"a pickle, which could run any code: {_SAVE_WEIGHTS}, or scikit-learn's model with skl2onnx"
_KERAS = "a model of Keras: make a graph of it with model.export('model.onnx', format='onnx'), or tf2onnx"
_TENSORFLOW = "make a graph of it with python -m tf2onnx.convert"
_UNPACK = "name what it holds, unpacked"
# where in a file what is found -> what the file is, and how to come to a model
_FOREIGN: Sequence[tuple[int, bytes, str]] = (
    (0, b"\x89HDF\r\n\x1a\n", f"HDF5, {_KERAS}"),
    (4, b"TFL3", f"a model of TensorFlow Lite: {_TENSORFLOW} --tflite FILE --output model.onnx"),
    (4, b"ORTM", "in ONNX Runtime's own format: give the .onnx file of which it was made"),
    (0, b"GGUF", "GGUF, weights of llama.cpp: take the model's .safetensors"),
    (0, b"version https://git-lfs", "a pointer of Git LFS and not the file itself: run git lfs pull"),
    (0, b"\x93NUMPY", "an array of NumPy: export the model that it belongs to"),
    (0, b"\x1f\x8b", f"compressed by gzip: {_UNPACK}"),
    (0, b"BZh", f"compressed by bzip2: {_UNPACK}"),
    (0, b"\xfd7zXZ", f"compressed by xz: {_UNPACK}"),
    (0, b"\x28\xb5\x2f\xfd", f"compressed by zstd: {_UNPACK}"),
    (257, b"ustar", f"a tar archive: {_UNPACK}"),
)
_GRAPH_TEXT = "a graph written as text: onnx.load it by its format, and onnx.save it as graph.onnx"
# the suffix of a text -> what it is, and how to come to a model
_TEXTS = {
    ".py": "code of Python: export the network that it makes with torch.export.export and torch.export.save",
    ".html": "a page of the web: download the model itself",
    ".json": "JSON: name the model itself; of weights in several files save one, with safetensors",
    ".txtpb": _GRAPH_TEXT,
    ".textproto": _GRAPH_TEXT,
    ".onnxtxt": _GRAPH_TEXT,
}
_ANY_TEXT = "text: name the model itself"
# how a pickle is named if its content does not tell
_PICKLE_SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt")


def is_not_taken(file: Path, what: str) -> ModelkitError:
    """Return the error that says what a file is; `what` ends with the remedy."""
    return ModelkitError(f"{file} is not {TAKEN}, but {what}")


def check_is_file(file: Path) -> None:
    """Raise ModelkitError unless there is a file."""
    try:
        file.stat()
    except FileNotFoundError:
        raise ModelkitError(f"{file} does not exist: name {TAKEN}") from None
    except OSError as error:
        raise ModelkitError(
            f"{file} cannot be read ({error.strerror}): name a file that this user reads"
        ) from None
    if (file / "saved_model.pb").exists():
        raise is_not_taken(file, f"a SavedModel: {_TENSORFLOW} --saved-model FOLDER --output model.onnx")
    if file.is_dir():
        raise ModelkitError(f"{file} is a folder: name {TAKEN} in it")
    if not file.is_file():
        raise ModelkitError(f"{file} is not a plain file: name {TAKEN}")


def kind_of(file: Path) -> Kind:
    """Return what a file holds; raises ModelkitError if it is none of the three kinds.

    A file of which nothing is known counts as a graph.
    """
    beginning = _beginning(file)
    if not beginning:
        raise ModelkitError(f"{file} is empty: copy it again, or export it again")
    if beginning.startswith(_ZIP):
        return _kind_of_archive(file)
    if (
        beginning[_HEADER_BYTES : _HEADER_BYTES + 1] == b"{"
        and int.from_bytes(beginning[:_HEADER_BYTES], "little") < _LONGEST_HEADER
    ):
        return "weights"
    if beginning.startswith(_PICKLE):
        raise is_not_taken(file, _PICKLE_OF_SKLEARN if b"sklearn" in beginning else _ANY_PICKLE)
    if what := next((what for at, sign, what in _FOREIGN if beginning.startswith(sign, at)), ""):
        raise is_not_taken(file, what)
    if _is_text(beginning):
        page = beginning.lstrip()[:5].lower() in (b"<html", b"<!doc")
        raise is_not_taken(file, _TEXTS.get(".html" if page else file.suffix.lower(), _ANY_TEXT))
    return "graph"


def unreadable_graph(file: Path) -> ModelkitError:
    """Return the error for a file that counts as a graph and cannot be read as such."""
    suffix = file.suffix.lower()
    if _beginning(file).startswith(_GRAPH):
        return ModelkitError(f"{file} is not a whole ONNX graph: copy it again, or export it again")
    if suffix in _PICKLE_SUFFIXES:
        return is_not_taken(file, f"by its name {_ANY_PICKLE}")
    if suffix == ".pb":
        return is_not_taken(file, f"by its name a graph of TensorFlow: {_TENSORFLOW} --graphdef FILE")
    if suffix in (".onnx", ".pt2", ".safetensors"):
        return ModelkitError(f"{file} is not a whole {suffix} file: copy it again, or export it again")
    return is_not_taken(file, "of a kind that is not known here: export its model as one of the three")


def _beginning(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_READ_BYTES)
    except OSError as error:
        raise ModelkitError(f"{file} cannot be read ({error.strerror}): let this user read it") from None


def _is_text(beginning: bytes) -> bool:
    try:
        beginning.decode()
    except UnicodeDecodeError as error:
        if len(beginning) < _READ_BYTES or error.start < len(beginning) - 4:  # no character cut in two
            return False
    return all(byte >= _FIRST_PRINTABLE or byte in _SPACES for byte in beginning)


def _kind_of_archive(file: Path) -> Kind:
    try:
        with zipfile.ZipFile(file) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        records = []
    # a program holds archives itself: of a file that was cut off, the last of them may be found
    if min((record.header_offset for record in records), default=1) > 0:
        raise ModelkitError(f"{file} is damaged: copy it again, or export it again")
    names = [record.filename for record in records]
    inner = {name.partition("/")[2] for name in names}
    if any(name.startswith("code/") for name in inner) and "data.pkl" in inner:
        raise is_not_taken(
            file, "TorchScript: export the module with torch.export.export and torch.export.save"
        )
    if "data.pkl" in inner:
        raise is_not_taken(file, _PICKLE_OF_PYTORCH)
    if "model.weights.h5" in names:
        raise is_not_taken(file, _KERAS)
    if all(name.endswith(".npy") for name in names):
        raise is_not_taken(file, "arrays of NumPy: export the model that they belong to")
    if any(name.endswith((".onnx", ".safetensors", ".pt2")) for name in names):
        raise is_not_taken(file, f"a zip archive: {_UNPACK}")
    return "program"
