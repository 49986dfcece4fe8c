"""`add` takes an ONNX graph of any signature in, and refuses what cannot be served before it writes."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from modelkit import ModelkitError, onnx_file
from modelkit.__main__ import main
from modelkit.manifest import check_fields, file_entry
from modelkit.onnx_file import read_graph, save_graph
from serving_core.errors import StartError
from serving_core.models.manifest import read_manifest, read_tensors
from tests.modelkit import graphs
from tests.modelkit.adding import add, manifest
from tests.modelkit.graphs import linear, node, save, tensor

ROOT = Path(__file__).parents[2]


def test_a_text_model_is_added_with_its_varying_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, place = add(graphs.encoder(tmp_path / "encoder.onnx"))
    assert status == 0
    written = manifest(place)
    assert written["name"] == "mine"
    assert written["kind"] == "tensors"
    assert written["inputs"] == [{"name": "tokens", "datatype": "INT64", "shape": [-1]}]
    assert written["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": [3]}]
    assert written["batch"] == "any"
    assert written["tolerance"] == {"rtol": 1e-3, "atol": 1e-4}
    assert written["files"] == {"model.onnx": file_entry(place / "model.onnx")}
    said = capsys.readouterr().out
    assert "model.onnx: 9 examples agree with encoder.onnx, largest difference" in said
    assert "any number of items together" in said


def test_what_is_published_computes_what_the_file_computes(tmp_path: Path) -> None:
    file = graphs.encoder(tmp_path / "encoder.onnx")
    _, place = add(file)
    tokens = np.random.default_rng(2).integers(0, 50, (4, 21))
    given, made = (
        onnxruntime.InferenceSession(str(graph)).run(None, {"tokens": tokens})[0]
        for graph in (file, place / "model.onnx")
    )
    np.testing.assert_allclose(made, given, rtol=1e-5)


def test_a_graph_of_one_item_is_served_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, place = add(linear(tmp_path / "one.onnx", (1, 4), (1, 2)))
    assert manifest(place)["batch"] == "one"
    assert manifest(place)["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [4]}]
    assert "one by one: its first axis is fixed at 1" in capsys.readouterr().out


def test_a_fixed_first_axis_is_no_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, place = add(linear(tmp_path / "fixed.onnx", (8, 4), (8, 2)))
    assert manifest(place)["batch"] == "none"
    assert manifest(place)["inputs"][0]["shape"] == [8, 4]
    assert "one by one: the inputs' first axes do not vary together: x [8, 4]" in capsys.readouterr().out


def test_an_axis_whose_items_know_of_each_other_is_no_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sequence without a batch: each row depends on the others, though the axis varies."""
    file = save(
        tmp_path / "sequence.onnx",
        [node("Softmax", ["x"], ["y"], axis=0)],
        [tensor("x", TensorProto.FLOAT, ["length", 4])],
        [tensor("y", TensorProto.FLOAT, ["length", 4])],
    )
    _, place = add(file)
    assert manifest(place)["batch"] == "none"
    assert manifest(place)["inputs"][0]["shape"] == [-1, 4]
    assert "items together give other answers than alone" in capsys.readouterr().out


def test_strings_and_two_inputs_and_outputs(tmp_path: Path) -> None:
    """Unnamed sizes, an int64 label a row, and BYTES of one element."""
    file = save(
        tmp_path / "two.onnx",
        [
            node("Add", ["a", "b"], ["total"]),
            node("ArgMax", ["total"], ["best"], axis=1, keepdims=0),
            node("Identity", ["word"], ["echo"]),
        ],
        [
            tensor("a", TensorProto.FLOAT, [None, 4]),
            tensor("b", TensorProto.FLOAT, [None, 4]),
            tensor("word", TensorProto.STRING, [None, 1]),
        ],
        [
            tensor("total", TensorProto.FLOAT, [None, 4]),
            tensor("best", TensorProto.INT64, [None]),
            tensor("echo", TensorProto.STRING, [None, 1]),
        ],
    )
    status, place = add(file)
    assert status == 0
    written = manifest(place)
    assert written["batch"] == "any"
    assert [(entry["name"], entry["datatype"], entry["shape"]) for entry in written["inputs"]] == [
        ("a", "FP32", [4]),
        ("b", "FP32", [4]),
        ("word", "BYTES", []),
    ]
    assert [(entry["name"], entry["datatype"], entry["shape"]) for entry in written["outputs"]] == [
        ("total", "FP32", [4]),
        ("best", "INT64", []),
        ("echo", "BYTES", []),
    ]


def test_control_flow_that_the_runtime_has_is_served_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    branches = {
        f"{name}_branch": helper.make_graph(
            [node(kind, ["x"], [name])], name, [], [tensor(name, TensorProto.FLOAT, ["n", 4])]
        )
        for name, kind in (("then", "Relu"), ("else", "Neg"))
    }
    file = save(
        tmp_path / "branches.onnx",
        [
            node("ReduceSum", ["x"], ["sum"], keepdims=0),
            node("Greater", ["sum", "zero"], ["positive"]),
            node("If", ["positive"], ["y"], **branches),
        ],
        [tensor("x", TensorProto.FLOAT, ["n", 4])],
        [tensor("y", TensorProto.FLOAT, ["n", 4])],
        zero=np.float32(0),
    )
    assert add(file)[0] == 0
    assert "control flow: If, which ONNX Runtime serves" in capsys.readouterr().out


def test_external_data_is_brought_in(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    model = onnx.load(linear(tmp_path / "inside.onnx"))
    onnx.save(model, folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    status, place = add(folder / "m.onnx")
    assert status == 0
    assert sorted(file.name for file in place.iterdir()) == ["model.json", "model.onnx"]


@pytest.mark.parametrize("ir_version", [3, 8])
def test_an_input_with_a_default_is_a_constant(
    ir_version: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each constant was an input too before IR version 4; later that makes it one that may be replaced."""
    file = save(
        tmp_path / "a.onnx",
        [node("MatMul", ["x", "w"], ["y"])],
        [tensor("w", TensorProto.FLOAT, [4, 2]), tensor("x", TensorProto.FLOAT, ["n", 4])],
        [tensor("y", TensorProto.FLOAT, ["n", 2])],
        opset=8,
        ir_version=ir_version,
        w=graphs.random(4, 2),
    )
    status, place = add(file)
    assert (status, capfd.readouterr().err) == (0, "")
    assert [entry["name"] for entry in manifest(place)["inputs"]] == ["x"]
    made = onnx.load(place / "model.onnx").graph
    assert [value.name for value in made.input] == ["x"] or ir_version < 4


def test_a_sparse_constant_is_no_input(tmp_path: Path) -> None:
    ends = [tensor(name, TensorProto.FLOAT, ["n", 4]) for name in "xy"]
    weights = tensor("w", TensorProto.FLOAT, [4])
    file = save(tmp_path / "a.onnx", [node("Mul", ["x", "w"], ["y"])], [ends[0], weights], ends[1:])
    model = onnx.load(file)
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    places = helper.make_tensor("w_places", TensorProto.INT64, [2], [0, 3])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4]))
    onnx.save(model, file)
    status, place = add(file)
    assert (status, [entry["name"] for entry in manifest(place)["inputs"]]) == (0, ["x"])


def test_examples_of_the_users_own_are_used(tmp_path: Path) -> None:
    """No bound is found for the table, so drawn examples fail: the user's own do not."""
    file = _out_of_bounds(tmp_path)
    assert add(file)[0] == 1
    np.savez(tmp_path / "example.npz", x=np.zeros(2, np.int64))
    assert add(file, "--example", str(tmp_path / "example.npz"))[0] == 0


def test_adding_a_graph_needs_no_pytorch(tmp_path: Path) -> None:
    file = graphs.encoder(tmp_path / "encoder.onnx")
    script = "import sys; sys.modules['torch'] = None; from modelkit.__main__ import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        script,
        "add",
        str(file),
        "--name",
        "mine",
        "--to",
        str(tmp_path / "out"),
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def _external(folder: Path, *, remove: bool = False, size: int = 0) -> Path:
    (folder / "given").mkdir()
    model = onnx.load(linear(folder / "inside.onnx"))
    file, data = folder / "given" / "m.onnx", folder / "given" / "m.data"
    onnx.save(model, file, save_as_external_data=True, location=data.name, size_threshold=0)
    if remove:
        data.unlink()
    if size:
        with data.open("r+b") as stream:
            stream.truncate(size)
    return file


def _zipmap(folder: Path) -> Path:
    """What skl2onnx makes of a classifier unless it is told otherwise."""
    output = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    )
    return save(
        folder / "zipmap.onnx",
        [node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])],
        [tensor("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_value_info("y", output)],
        domains=["ai.onnx.ml"],
    )


def _of(kind: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        ends = [tensor(name, kind, ["n", 4]) for name in "xy"]
        return save(folder / "kind.onnx", [node("Identity", ["x"], ["y"])], ends[:1], ends[1:])

    return make


def _custom(domain: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        ends = [tensor(name, TensorProto.FLOAT, ["n", 4]) for name in "xy"]
        nodes = [node("Foo", ["x"], ["y"], domain=domain)]
        return save(folder / "custom.onnx", nodes, ends[:1], ends[1:], domains=[domain] if domain else [])

    return make


def _out_of_bounds(folder: Path) -> Path:
    """The indices are not the input itself, so no bound is found: the table has one row."""
    return save(
        folder / "bounds.onnx",
        [node("Add", ["x", "x"], ["twice"]), node("Gather", ["table", "twice"], ["y"])],
        [tensor("x", TensorProto.INT64, ["n"])],
        [tensor("y", TensorProto.FLOAT, ["n", 4])],
        table=graphs.random(1, 4),
    )


def _changed(change: Callable[[onnx.ModelProto], object]) -> Callable[[Path], Path]:
    """A graph whose file was changed, as no library of today writes it."""

    def make(folder: Path) -> Path:
        model = onnx.load(linear(folder / "a.onnx"))
        change(model)
        onnx.save(model, folder / "a.onnx")
        return folder / "a.onnx"

    return make


def _unknown_datatype(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = 99


def _external_at(location: str, link: bool = False) -> Callable[[Path], Path]:
    """A graph that says that its weights are at this place, where they are; `link` makes that a link."""

    def make(folder: Path) -> Path:
        file = _external(folder)
        model = onnx.load(file, load_external_data=False)
        (entry,) = (each for each in model.graph.initializer[0].external_data if each.key == "location")
        entry.value = location.replace("FOLDER", str(folder))
        onnx.save(model, file)
        data = file.parent / "m.data"
        if link:
            data.rename(folder / "real.data")
            data.symlink_to(folder / "real.data")
        else:
            data.rename(folder / "outside.data")
        return file

    return make


def _optional(folder: Path) -> Path:
    output = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 4]))
    return save(
        folder / "optional.onnx",
        [node("Optional", ["x"], ["y"])],
        [tensor("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_value_info("y", output)],
    )


def _named(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        ends = tensor(name, TensorProto.FLOAT, ["n", 4]), tensor("y", TensorProto.FLOAT, ["n", 4])
        return save(folder / "named.onnx", [node("Relu", [name], ["y"])], ends[:1], ends[1:])

    return make


def _oldest(folder: Path) -> Path:
    ends = [tensor(name, TensorProto.FLOAT, ["n", 4]) for name in "xy"]
    nodes = [node("Relu", ["x"], ["y"])]
    return save(folder / "a.onnx", nodes, ends[:1], ends[1:], opset=1, ir_version=3)


def _locale(folder: Path) -> Path:
    """Texts in lower case by the rules of a language that no host has."""
    ends = [tensor(name, TensorProto.STRING, ["n"]) for name in "xy"]
    nodes = [node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER", locale="xx_XX.UTF-8")]
    return save(folder / "a.onnx", nodes, ends[:1], ends[1:])


def _noise(kind: str, **attributes: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        ends = [tensor(name, TensorProto.FLOAT, ["n", 4]) for name in "xy"]
        nodes = [node(kind, ["x"], ["noise"], **attributes), node("Add", ["x", "noise"], ["y"])]
        return save(folder / "noise.onnx", nodes, ends[:1], ends[1:])

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda f: linear(f / "a.onnx", ir_version=99),
            r"IR version 99, .* up to \d+: save it with ir_version=",
        ),
        (
            lambda f: linear(f / "a.onnx", opset=99),
            r"opset 99 of ai\.onnx, .* up to \d+: export it with opset",
        ),
        (
            _custom("my.ops"),
            "the custom operator my.ops:Foo, which ONNX Runtime lacks: export it with standard",
        ),
        (_custom(""), "opset 20 has no operator Foo: export it with an opset that has it"),
        (_of(TensorProto.BFLOAT16), "datatype BFLOAT16, which no request can carry: cast it to float32"),
        (_of(TensorProto.COMPLEX64), "datatype COMPLEX64, which no request can carry: cast it to float32"),
        (_zipmap, r"not a tensor: convert with options=\{'zipmap': False\}"),
        (lambda f: _external(f, remove=True), r"weights in m\.data, which is missing: put m\.data beside it"),
        (lambda f: _external(f, size=2**31), r"2\.0 GiB, and one graph holds 2 GiB: export it in float16"),
        (lambda f: linear(f / "a.onnx", None), "input x states no shape: export it with its number of axes"),
        (_out_of_bounds, "fails on drawn examples .*: give examples, --example FILE.npz"),
        (lambda f: f / "nowhere.onnx", "nowhere.onnx does not exist: name an ONNX graph"),
        (_changed(_unknown_datatype), "x has datatype 99, which no request can carry: cast it to float32"),
        (_of(TensorProto.FLOAT8E4M3FN), "datatype FLOAT8E4M3FN, which no request can carry: cast it"),
        (_of(TensorProto.INT4), "datatype INT4, which no request can carry: cast it to float32"),
        (
            _of(TensorProto.STRING),
            r"x holds strings of shape \['n', 4\], and an item has one string: export it",
        ),
        (_optional, "y is of the type optional, not a tensor: export a tensor"),
        (_changed(lambda m: m.graph.output[0].ClearField("type")), "y states no type: export the graph with"),
        (_changed(lambda m: m.graph.ClearField("output")), "is a graph without outputs: export it again"),
        (
            _changed(lambda m: m.ClearField("opset_import")),
            r"a\.onnx cannot be served: .*opset.*: export it again",
        ),
        (_changed(lambda m: m.ClearField("ir_version")), r"a\.onnx (cannot be served|is not a whole).*: "),
        (_locale, r"by the locale xx_XX\.UTF-8, which this host lacks: convert it with the locale C\.UTF-8"),
        (_oldest, "ONNX Runtime has no Relu of this opset .* from opset 12"),
        (
            lambda f: linear(f / "a.onnx", ("n", 0)),
            "input x has an axis of size 0, so it holds nothing: export",
        ),
        (
            _external_at("../outside.data"),
            r"weights in \.\./outside\.data, which is not in its folder: export it again, with a location",
        ),
        (_external_at("FOLDER/outside.data"), r"weights in /.*, which is not in its folder: export it again"),
        (_external_at(""), "does not say which file holds its weights: export it again"),
        (_external_at("m.data", link=True), r"m\.data, which is a link: copy .* into a folder, with cp -L"),
        (lambda f: _external(f, size=5), r"external data cannot be read .*: export it again"),
        (_named("a\nb"), r"the name 'a\\nb' cannot be printed: export the graph with other names"),
        (_named("\x1b[31m"), r"the name '\\x1b\[31m' cannot be printed: export the graph with other names"),
        (
            _noise("RandomNormalLike"),
            "gives other answers each time .*: export it for inference, without random",
        ),
        (_noise("RandomUniformLike", seed=1.0), "gives other answers each time .*: export it for inference"),
        (
            lambda f: linear(f / "a.onnx", ("n", 10**5, 10**5, 4), ("n", 10**5, 10**5, 2)),
            "an example has 40000000000 numbers, and at most .* drawn.: give examples, --example",
        ),
        (
            lambda f: linear(f / "a.onnx", given=(1, 2)),
            r"y has shape \[3, 2\] where its file states \[1, 2\]: export it again with a size that varies",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(
    make: Callable[[Path], Path], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, place = add(make(tmp_path))
    error = capfd.readouterr().err
    assert status == 1
    assert error.count("\n") == 1, error
    assert re.search(message, error), error
    assert not place.exists()


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "a b"])
def test_a_name_that_is_no_part_of_an_address_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = linear(tmp_path / "a.onnx")
    assert main(["add", str(file), "--name", name, "--to", str(tmp_path / "out")]) == 1
    assert "is not a model's name: use letters" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_place_below_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = linear(tmp_path / "a.onnx")
    assert add(file, to=file / "below")[0] == 1
    assert "cannot be written: name a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros((1, 4), np.float32)}, "holds y: it needs the arrays x"),
        ({"x": np.zeros((1, 4))}, "x is float64: it needs float32"),
        ({"x": np.zeros((1, 5), np.float32)}, r"shape \[1, 5\]: it needs \['n', 4\]"),
        ({"x": np.asarray([[{}]])}, "not a .npz file of plain arrays"),
        ({"x": np.zeros((0, 4), np.float32)}, r"x has shape \[0, 4\], which holds no value: give one item"),
    ],
)
def test_examples_that_do_not_fit_are_refused(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "example.npz", **arrays)
    assert add(linear(tmp_path / "a.onnx"), "--example", str(tmp_path / "example.npz"))[0] == 1
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("content", [b"", b"array", b"PK\x03\x04 cut"])
def test_a_file_that_holds_no_named_arrays_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "example.npy"
    if content == b"array":
        np.save(file, np.zeros((1, 4), np.float32))
    else:
        file.write_bytes(content)
    assert add(linear(tmp_path / "a.onnx"), "--example", str(file))[0] == 1
    error = capsys.readouterr().err
    assert "is not a .npz file of plain arrays" in error
    assert error.count("\n") == 1


def _two_inputs(file: Path, first: str, second: str) -> Path:
    """The largest of each column of `a` and `b` together, [4]: no axis is a batch."""
    return save(
        file,
        [
            node("Concat", ["a", "b"], ["both"], axis=0),
            node("ReduceMax", ["both", "rows"], ["y"], keepdims=0),
        ],
        [tensor("a", TensorProto.FLOAT, [first, 4]), tensor("b", TensorProto.FLOAT, [second, 4])],
        [tensor("y", TensorProto.FLOAT, [4])],
        rows=np.asarray([0]),
    )


def test_examples_of_several_row_counts_fit_sizes_of_several_names_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "example.npz", a=np.ones((3, 4), np.float32), b=np.ones((2, 4), np.float32))
    words = ("--example", str(tmp_path / "example.npz"))
    status, place = add(_two_inputs(tmp_path / "a.onnx", "m", "n"), *words)
    assert (status, manifest(place)["batch"]) == (0, "none")
    assert add(_two_inputs(tmp_path / "b.onnx", "n", "n"), *words, to=tmp_path / "other")[0] == 1
    assert "b has 2 where a has 3, and the model has one size, n: make them equal" in capsys.readouterr().err


def test_an_example_that_the_model_does_not_compute_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "example.npz", x=np.ones(2, np.int64))
    assert add(_out_of_bounds(tmp_path), "--example", str(tmp_path / "example.npz"))[0] == 1
    error = capsys.readouterr().err
    assert re.search(r"does not compute the example in .*: give values that the model takes", error), error


def test_a_graph_over_what_a_file_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = linear(tmp_path / "a.onnx")
    graph = read_graph(file)
    monkeypatch.setattr(onnx_file, "_MOST_BYTES", 20)
    assert add(file)[0] == 1
    assert "one graph holds 2 GiB: export it in float16 or int8" in capsys.readouterr().err
    with pytest.raises(ModelkitError, match=r"a\.onnx makes a graph of over 2 GiB, .*: export it in float16"):
        save_graph(graph, tmp_path / "made.onnx", file)


def test_two_outputs_of_one_name_are_refused_as_services_refuse_them() -> None:
    entry = {"name": "y", "datatype": "FP32", "shape": [2]}
    unnamed = {**entry, "name": ""}
    for outputs, says in (([entry, entry], "give each a name of its own"), ([unnamed], "has an empty name")):
        fields = {"kind": "tensors", "inputs": [entry], "outputs": outputs, "batch": "any"}
        with pytest.raises(ModelkitError, match=says):
            check_fields(fields)
        with pytest.raises(StartError):
            read_tensors(read_manifest(json.dumps({"name": "mine", **fields}).encode(), "model.json"))
