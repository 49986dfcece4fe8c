"""`add` takes programs and weights of PyTorch in, makes their graph, and never unpickles anything."""

import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn
from torch.export import Dim

from modelkit.manifest import file_entry
from modelkit.torch_intakes import module_form
from tests.modelkit import networks
from tests.modelkit.adding import add, manifest

TEXTS = "tests.modelkit.networks:texts"
TEXTS_INPUTS = ("--input", "tokens:INT64[-1,-1]", "--input", "mask:FP32[-1,-1]")


def program(
    folder: Path, network: nn.Module | None = None, batch: Any = None, length: Any = None, rows: int = 2
) -> Path:
    """Write a .pt2 of the network for texts, or of another with one input of three features."""
    sizes: dict[int, Any] = {0: batch or Dim("batch")}
    if network is None:
        network, values = networks.Texts(), (torch.zeros(2, 8, dtype=torch.int64), torch.ones(2, 8))
        shapes: Any = (sizes | {1: length or Dim("length", max=16)},) * 2
    else:
        values, shapes = (torch.zeros(rows, 3),), (sizes,)
    made = torch.export.export(network.eval(), values, dynamic_shapes=shapes)
    torch.export.save(made, folder / "given.pt2")
    return folder / "given.pt2"


def weights(folder: Path, network: nn.Module) -> Path:
    save_file(network.state_dict(), folder / "given.safetensors")
    return folder / "given.safetensors"


def graph_answers(place: Path, values: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    found: list[NDArray[Any]] = onnxruntime.InferenceSession(str(place / "model.onnx")).run(None, values)
    return found


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that takes texts."""
    return program(tmp_path_factory.mktemp("given"))


@pytest.fixture
def nothing_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was unpickled")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "load", refuse)


def check_texts(place: Path) -> None:
    written = manifest(place)
    assert [(entry["name"], entry["datatype"], entry["shape"]) for entry in written["inputs"]] == [
        ("tokens", "INT64", [-1]),
        ("mask", "FP32", [-1]),
    ]
    assert [(entry["name"], entry["datatype"], entry["shape"]) for entry in written["outputs"]] == [
        ("output_0", "FP32", [6]),
        ("output_1", "FP32", []),
    ]
    assert written["batch"] == "any"
    tokens = np.random.default_rng(0).integers(0, 40, (3, 11))
    mask = (tokens > 5).astype(np.float32)
    with torch.inference_mode():
        expected = networks.Texts()(torch.from_numpy(tokens), torch.from_numpy(mask))
    for one, other in zip(expected, graph_answers(place, {"tokens": tokens, "mask": mask}), strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("nothing_unpickled")
def test_a_program_is_published_with_its_graph(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, place = add(given, to=tmp_path)
    assert status == 0
    check_texts(place)
    assert manifest(place)["files"] == {
        name: file_entry(place / name) for name in ("program.pt2", "model.onnx")
    }
    assert (place / "program.pt2").read_bytes() == given.read_bytes()
    assert "model.onnx: 9 examples agree with given.pt2, largest difference" in capsys.readouterr().out


@pytest.mark.usefixtures("nothing_unpickled")
def test_weights_are_published_with_the_graph_of_their_architecture(tmp_path: Path) -> None:
    status, place = add(weights(tmp_path, networks.Texts()), "--architecture", TEXTS, *TEXTS_INPUTS)
    assert status == 0
    check_texts(place)
    written = manifest(place)
    assert written["architecture"] == TEXTS
    assert list(written["files"]) == ["weights.safetensors", "model.onnx"]


def test_outputs_have_the_names_that_are_given(given: Path, tmp_path: Path) -> None:
    assert add(given, "--output-names", "vector,count", to=tmp_path)[0] == 0
    assert [entry["name"] for entry in manifest(tmp_path)["outputs"]] == ["vector", "count"]


@pytest.mark.parametrize("most", [2, 4])
def test_a_programs_largest_batch_is_kept_to(
    most: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, place = add(program(tmp_path, nn.Linear(3, 2), batch=Dim("batch", max=most)))
    assert (status, manifest(place)["batch"]) == (0, "any")
    np.savez(tmp_path / "example.npz", input=np.ones((most + 1, 3), np.float32))
    words = ("--example", str(tmp_path / "example.npz"))
    assert add(tmp_path / "given.pt2", *words, to=tmp_path / "other")[0] == 1
    assert (
        f"holds {most + 1} items, and given.pt2 takes {most} at most: give fewer" in capsys.readouterr().err
    )


def test_a_program_for_one_item_is_served_one_by_one(tmp_path: Path) -> None:
    made = torch.export.export(nn.Linear(3, 2).eval(), (torch.zeros(1, 3),))
    torch.export.save(made, tmp_path / "one.pt2")
    status, place = add(tmp_path / "one.pt2")
    assert status == 0
    assert manifest(place)["batch"] == "one"
    assert manifest(place)["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [3]}]


class _Paired(nn.Module):
    """The sums of pairs, of twice as many numbers."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.view(rows.shape[0], -1, 2).sum(2)


def test_a_size_that_is_twice_another_is_drawn_so(tmp_path: Path) -> None:
    sizes = {0: Dim("batch"), 1: 2 * Dim("half", min=2, max=9)}
    made = torch.export.export(_Paired(), (torch.zeros(2, 8),), dynamic_shapes=(sizes,))
    torch.export.save(made, tmp_path / "paired.pt2")
    status, place = add(tmp_path / "paired.pt2")
    assert (status, manifest(place)["batch"]) == (0, "any")
    assert manifest(place)["example"]["rows"]["shape"][0] % 2 == 0


class _Chosen(nn.Module):
    """Treats a whole batch in one of two ways."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        chosen: torch.Tensor = torch.cond(rows.sum() > 0, lambda row: row * 2, lambda row: row - 1, (rows,))
        return chosen


class _Mean(nn.Module):
    """A mean of three features over all rows: an answer as long as a batch of three by chance."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.mean(0)


@pytest.mark.parametrize("network", [_Chosen(), _Mean()])
@pytest.mark.parametrize("seed", ["1", "2", "3", "4"])
def test_what_treats_a_batch_as_a_whole_is_no_batch_whatever_the_seed(
    network: nn.Module, seed: str, tmp_path: Path
) -> None:
    status, place = add(_saved(tmp_path, network), "--seed", seed)
    assert (status, manifest(place)["batch"]) == (0, "none")


def test_a_network_that_takes_no_short_input_is_exported(tmp_path: Path) -> None:
    words = ("--architecture", "tests.modelkit.networks:long", "--input", "rows:FP32[-1,2,-1]")
    status, place = add(weights(tmp_path, networks.long()), *words)
    assert (status, manifest(place)["batch"]) == (0, "any")
    assert manifest(place)["example"]["rows"]["shape"][1] >= networks.KERNEL


def test_an_architecture_that_returns_another_class_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("--architecture", "tests.modelkit.networks:classed", "--input", "rows:FP32[-1,2]")
    assert add(weights(tmp_path, networks.classed()), *words)[0] == 1
    assert "returns a Answer: export a module that returns tensors in a tuple" in capfd.readouterr().err


class _Counting(nn.Module):
    """Counts its batches, or adds in place to what it is given."""

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()
        self.in_place = in_place
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if self.in_place:
            return rows.add_(1) * 2
        self.batches.add_(1)
        return rows * self.batches


def _saved(folder: Path, network: nn.Module) -> Path:
    made = torch.export.export(network, (torch.zeros(5, 3),), dynamic_shapes=({0: Dim("batch")},))
    torch.export.save(made, folder / "changing.pt2")
    return folder / "changing.pt2"


def _lists(folder: Path) -> Path:
    made = torch.export.export(networks.Lists(), ([torch.zeros(2, 3), torch.zeros(2, 3)],))
    torch.export.save(made, folder / "lists.pt2")
    return folder / "lists.pt2"


def _half(folder: Path) -> Path:
    made = torch.export.export(nn.ReLU(), (torch.zeros(2, 3, dtype=torch.bfloat16),))
    torch.export.save(made, folder / "half.pt2")
    return folder / "half.pt2"


def _edited(folder: Path, edit: Callable[[str, bytes], bytes]) -> Path:
    """A program whose records were changed."""
    source = program(folder, nn.Linear(3, 2))
    target = folder / "edited.pt2"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, edit(name, old.read(name)))
    return target


def _newer(folder: Path) -> Path:
    def edit(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        stated = json.loads(content)
        stated["torch_version"], stated["schema_version"] = "99.1.0", {"major": 99, "minor": 0}
        return json.dumps(stated).encode()

    return _edited(folder, edit)


def _pickled_weights(folder: Path) -> Path:
    def edit(name: str, content: bytes) -> bytes:
        return (
            content.replace(b'"use_pickle": false', b'"use_pickle": true')
            if "weights_config" in name
            else content
        )

    return _edited(folder, edit)


def _state_pickle(folder: Path) -> Path:
    torch.save(nn.Linear(3, 2).state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def _plain_pickle(folder: Path) -> Path:
    (folder / "model.bin").write_bytes(pickle.dumps({"weights": [1]}))
    return folder / "model.bin"


def _script(folder: Path) -> Path:
    (folder / "script.pt").write_bytes(b"")
    with zipfile.ZipFile(folder / "script.pt", "w") as archive:
        for name in ("model/data.pkl", "model/code/__torch__.py", "model/version"):
            archive.writestr(name, b"")
    return folder / "script.pt"


def _cut(folder: Path) -> Path:
    whole = program(folder, nn.Linear(3, 2)).read_bytes()
    (folder / "cut.pt2").write_bytes(whole[: len(whole) // 2])
    return folder / "cut.pt2"


def _cut_late(folder: Path) -> Path:
    """A program without its own directory, in which that of an archive within it is found."""
    whole = program(folder, nn.Linear(3, 2)).read_bytes()
    (folder / "late.pt2").write_bytes(whole[:-30])
    return folder / "late.pt2"


class _Texts(nn.Module):
    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, str]:
        return rows * 2, "a text"


class _Half(nn.Module):
    """Computes in a datatype that ONNX Runtime has no kernel for."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2).bfloat16()

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.inner(rows.bfloat16())
        return made.float()


class _Roots(nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.linalg.cholesky(rows.unsqueeze(2) * rows.unsqueeze(1))


class _Nothing(nn.Module):
    def forward(self) -> torch.Tensor:
        return torch.ones(1)


def _no_inputs(folder: Path) -> Path:
    torch.export.save(torch.export.export(_Nothing(), ()), folder / "nothing.pt2")
    return folder / "nothing.pt2"


@pytest.mark.usefixtures("nothing_unpickled")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_cut_late, "is damaged: copy it again"),
        (lambda folder: _saved(folder, _Texts()), r"returns a text: export a module whose forward returns"),
        (
            lambda folder: _saved(folder, nn.Sequential(nn.Linear(3, 8), nn.Dropout()).train()),
            r"gives other answers each time .*: export it for inference, without random",
        ),
        (
            lambda folder: _saved(folder, _Half()),
            r"add: changing\.pt2 cannot be served: ONNX Runtime has no Gemm .*: export it in float32",
        ),
        (
            lambda folder: _saved(folder, _Roots()),
            r"cannot be exported to ONNX \(No ONNX function found for <OpOverload\(op='aten\.linalg_cho",
        ),
        (_no_inputs, r"takes no input, so it always answers the same: let forward take"),
        (
            lambda folder: program(folder, nn.Linear(3, 2), batch=Dim("batch", min=4), rows=5),
            r"takes batches of at least 4 items: export it with dynamic_shapes=",
        ),
        (_lists, "takes lists, mappings or keyword arguments: export a module whose forward takes tensors"),
        (lambda folder: _saved(folder, _Counting()), "changes batches whenever it runs: call .eval()"),
        (lambda folder: _saved(folder, _Counting(True)), "changes rows whenever it runs: .* copies"),
        (
            lambda folder: _saved(folder, nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).train()),
            r"changes 1\.running_mean, 1\.running_var, 1\.num_batches_tracked whenever it runs",
        ),
        (_half, r"datatype torch\.bfloat16, which no request can carry: cast it to float32"),
        (_newer, r"exported by PyTorch 99\.1\.0, and this is .*: export it with PyTorch [\d.]+ or older"),
        (_pickled_weights, "as a pickle, which is not read: export the model with plain tensors"),
        (_state_pickle, r"pickle of PyTorch, which could run any code: save its tensors with safetensors"),
        (_plain_pickle, r"a pickle, which could run any code: save its tensors with safetensors"),
        (_script, r"TorchScript: export the module with torch\.export"),
        (_cut, "is damaged: copy it again"),
        (
            lambda folder: program(folder, nn.Linear(3, 2), batch=Dim.AUTO),  # type: ignore[attr-defined]
            r"takes batches of at least 2 items, .*: export it with dynamic_shapes=",
        ),
    ],
)
def test_a_program_that_cannot_be_served_is_refused_in_one_line(
    make: Callable[[Path], Path], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, place = add(make(tmp_path))
    error = capfd.readouterr().err
    assert (status, error.count("\n")) == (1, 1), error
    assert re.search(message, error), error
    assert not place.exists()


def test_a_network_that_changes_its_inputs_changes_no_example() -> None:
    values = [np.ones((1, 3), np.float32)]
    module_form("adding", _Counting(in_place=True)).run(values)
    assert values[0].max() == 1


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "holds weights and no network: give --architecture package.module:factory"),
        (("--architecture", TEXTS), 2, r"does not say what it takes: give --input NAME:FP32\[-1,8\]"),
        (("--architecture", TEXTS, "--input", "tokens"), 2, "is not NAME:DATATYPE"),
        (
            ("--architecture", TEXTS, "--input", "tokens:BF16[-1]"),
            2,
            "no datatype of the protocol: use one of",
        ),
        (("--architecture", "nowhere.at:all", *TEXTS_INPUTS), 1, "there is no module nowhere: "),
        (
            ("--architecture", "tests.modelkit.networks:no_network", *TEXTS_INPUTS),
            1,
            "makes a str: make it return",
        ),
        (
            ("--architecture", "tests.modelkit.networks:pictures", *TEXTS_INPUTS),
            1,
            "does not fit the architecture tests.modelkit",
        ),
        (
            ("--architecture", TEXTS, "--input", "x:FP32[-1,8]"),
            1,
            "cannot be exported with the inputs x:FP32",
        ),
        (("--architecture", TEXTS, *TEXTS_INPUTS, "--output-names", "a"), 1, "give a name for each"),
    ],
)
def test_weights_without_a_fitting_network_are_refused(
    words: tuple[str, ...], status: int, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found, place = add(weights(tmp_path, networks.Texts()), *words)
    error = capfd.readouterr().err
    assert (found, error.count("\n")) == (status, 1), error
    assert re.search(message, error), error
    assert not place.exists()


def test_an_axis_that_the_network_fixes_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = weights(tmp_path, networks.Halves())
    words = ("--architecture", "tests.modelkit.networks:halves", "--input", "rows:FP32[-1,3]")
    assert add(file, *words)[0] == 1
    assert "axis 0 of rows does not vary in this network: state its size" in capsys.readouterr().err
