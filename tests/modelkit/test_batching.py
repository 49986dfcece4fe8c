"""Which axis is a batch, and that onnx_serving then gives each item what the file gives it alone."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper

from onnx_serving.engine import OnnxEngine
from serving_core.engine import Compute
from serving_core.handler import Context
from serving_core.models.manifest import read_manifest
from serving_core.models.store import Model
from serving_core.tensor_model import TensorModel
from serving_core.tensors import NUMERIC
from tests.modelkit.adding import add, manifest
from tests.modelkit.graphs import Shape, node, random, save, tensor

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
Make = Callable[[Path], Path]


def graph(
    nodes: Sequence[NodeProto],
    shape: Shape = ("n", 4),
    given: Shape = ("n", 4),
    kind: int = FLOAT,
    **more: Any,
) -> Make:
    """A graph from `x` to `y`."""

    def make(folder: Path) -> Path:
        ends = [tensor("x", kind, shape)], [tensor("y", more.pop("gives", kind), given)]
        return save(folder / "graph.onnx", nodes, *ends, **more)

    return make


def served(place: Path, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Items of all sizes 6 where they vary, and what onnx_serving gives if it gets them at once."""
    handler = TensorModel()
    read = read_manifest((place / "model.json").read_bytes(), "model.json")
    handler.load(
        Model(place / "model.onnx", read, cached=True), Context(OnnxEngine, Compute(max_batch=count), 1)
    )
    handler.warm()
    rng = np.random.default_rng(7)
    items = [
        {
            spec.name: np.asarray(
                rng.standard_normal([6 if size == -1 else size for size in spec.shape]) * 4,
                NUMERIC[spec.datatype],
            )
            for spec in handler.inputs
        }
        for _ in range(count)
    ]
    results = handler.predict([handler.preprocess(item) for item in items])
    return items, [dict(handler.postprocess(result)) for result in results]


def agree(file: Path, place: Path, count: int = 12) -> None:
    """Fail unless each item of several has the answer that ONNX Runtime gives to it alone."""
    session, batch = onnxruntime.InferenceSession(str(file)), manifest(place)["batch"]
    for item, answer in zip(*served(place, count), strict=True):
        alone = {name: value if batch == "none" else value[None] for name, value in item.items()}
        for output, expected in zip(session.get_outputs(), session.run(None, alone), strict=True):
            wanted = expected if batch == "none" else expected[0]
            assert answer[output.name].dtype == wanted.dtype
            np.testing.assert_allclose(answer[output.name], wanted, rtol=1e-4, atol=1e-9)


def _branches() -> list[NodeProto]:
    """Another branch if all numbers together are positive."""
    inner = {
        f"{name}_branch": helper.make_graph(
            [node(kind, ["x"], [name])], name, [], [tensor(name, FLOAT, ["n", 4])]
        )
        for name, kind in (("then", "Relu"), ("else", "Neg"))
    }
    return [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["positive"]),
        node("If", ["positive"], ["y"], **inner),
    ]


AXIS = np.asarray([0])
MEAN = [node("ReduceMean", ["x", "axis"], ["m"]), node("Sub", ["x", "m"], ["y"])]
SMALL = [node("Softmax", ["x"], ["s"], axis=0), node("Mul", ["s", "c"], ["y"])]
LARGE = [
    node("ReduceMax", ["x", "axis"], ["m"]),
    node("Sub", ["m", "c"], ["d"]),
    node("Relu", ["d"], ["e"]),
    node("Add", ["x", "e"], ["y"]),
]
ROWS = [
    node("Shape", ["x"], ["s"], end=1),
    node("Slice", ["table", "axis", "s", "axis"], ["p"]),
    node("Add", ["x", "p"], ["y"]),
]
COUNTED = [
    node("Cast", ["x"], ["f"], to=FLOAT),
    node("ReduceMean", ["f", "axis"], ["m"]),
    node("Sub", ["f", "m"], ["y"]),
]
QUANTISED = [
    node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
    node("DequantizeLinear", ["q", "s", "z"], ["y"]),
]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (graph(MEAN, axis=AXIS), "other answers than alone"),
        (graph(SMALL, c=np.float32(1e-6)), r"other answers than alone .* of values up to 1e-06"),
        (graph(LARGE, axis=AXIS, c=np.float32(5)), "other answers than alone"),
        (graph([node("CumSum", ["x", "axis"], ["y"])], axis=np.asarray(0)), "other answers than alone"),
        (graph(QUANTISED), "other answers than alone"),
        (graph(COUNTED, ("n", 1), ("n", 1), INT64, gives=FLOAT, axis=AXIS), "other answers than alone"),
        (graph(_branches(), zero=np.float32(0)), "other answers than alone"),
        (
            graph(ROWS, axis=AXIS, table=np.repeat(np.float32([0, 1]), [5, 95])[:, None]),
            "other answers than alone",
        ),
        (
            graph([node("Transpose", ["x"], ["y"], perm=[1, 0])], given=(4, "n")),
            r"y has shape \[4, 3\] for 3 items",
        ),
        (
            graph([node("Transpose", ["x"], ["y"], perm=[1, 0])], ("n", 3), (3, "n")),
            r"y has shape \[3, 1\] for 1 item",
        ),
    ],
)
def test_items_that_know_of_each_other_are_never_computed_together(
    make: Make, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make(tmp_path)
    status, place = add(file)
    said = capsys.readouterr().out
    assert (status, manifest(place)["batch"]) == (0, "none"), said
    assert re.search("one by one: .*" + reason, said), said
    agree(file, place, 3)


def test_an_example_of_one_item_shows_whether_items_know_of_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copies of it are rolled; of one number nothing is left to roll, and nothing is seen."""
    for width, batch, said in ((4, "none", "other answers than alone"), (1, "one", "are alike")):
        folder = tmp_path / str(width)
        folder.mkdir()
        file = graph(COUNTED, ("n", width), ("n", width), INT64, gives=FLOAT, axis=AXIS)(folder)
        np.savez(folder / "one.npz", x=np.arange(3, 3 + width)[None])
        status, place = add(file, "--example", str(folder / "one.npz"), to=folder / "to")
        assert (status, manifest(place)["batch"]) == (0, batch)
        assert said in capsys.readouterr().out


def test_an_output_without_the_batch_that_has_as_many_rows_as_were_tried_is_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three items are tried, and the output `t` has always three numbers."""
    file = save(
        tmp_path / "constant.onnx",
        [node("Relu", ["x"], ["y"]), node("Identity", ["w"], ["t"])],
        [tensor("x", FLOAT, ["n", 4])],
        [tensor("y", FLOAT, ["n", 4]), tensor("t", FLOAT, [3])],
        w=random(3),
    )
    status, place = add(file)
    assert (status, manifest(place)["batch"]) == (0, "none")
    assert "one by one: t has shape [3] for 1 item" in capsys.readouterr().out
    agree(file, place, 3)


def test_a_batch_of_a_few_alone_is_computed_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = graph(ROWS, axis=AXIS, table=random(4, 4))(tmp_path)
    # the first row alone is every item's, as each is computed alone
    status, place = add(file)
    assert (status, manifest(place)["batch"]) == (0, "none")
    file = graph(ROWS, axis=AXIS, table=np.zeros((4, 4), np.float32))(tmp_path)
    status, place = add(file, to=tmp_path / "zeros")
    assert (status, manifest(place)["batch"]) == (0, "one")
    assert "one by one: 3 items together are computed, but 9 fail (Add: " in capsys.readouterr().out
    agree(file, place)


@pytest.mark.parametrize("kind", [*range(FLOAT, TensorProto.STRING), *range(TensorProto.BOOL, 14)])
def test_every_datatype_is_served_as_the_file_computes_it(kind: int, tmp_path: Path) -> None:
    """All but text, which tests/contract/test_tensor_models.py serves."""
    file = graph([node("Identity", ["x"], ["y"])], kind=kind)(tmp_path)
    status, place = add(file)
    assert (status, manifest(place)["batch"]) == (0, "any")
    agree(file, place)


@pytest.mark.parametrize(
    ("make", "batch"),
    [
        (graph([node("Mul", ["x", "x"], ["y"])], [], []), "none"),
        (graph([node("Relu", ["x"], ["y"])], [1, 4], [1, 4]), "one"),
        (graph([node("Relu", ["x"], ["y"])], [8, 4], [8, 4]), "none"),
        (graph([node("Relu", ["x"], ["y"])], [5, "batch", 3], [5, "batch", 3]), "none"),
        (graph([node("Relu", ["x"], ["y"])], ["n", 2, 2, 2, 2], ["n", 2, 2, 2, 2]), "any"),
        (graph([node("Relu", ["x"], ["y"])], given=None), "any"),
        (graph([node("Gelu", ["x"], ["y"], domain="com.microsoft")], domains=["com.microsoft"]), "any"),
        (graph([node("MatMul", ["x", "w"], ["y"])], given=("n", 3), w=random(4, 3)), "any"),
        (graph([node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)], given=("n",), gives=INT64), "any"),
        (graph([node("NonZero", ["x"], ["y"])], given=(2, "m"), gives=INT64), "none"),
    ],
)
def test_each_shape_is_served_as_the_file_computes_it(make: Make, batch: str, tmp_path: Path) -> None:
    file = make(tmp_path)
    status, place = add(file)
    assert (status, manifest(place)["batch"]) == (0, batch)
    agree(file, place)


@pytest.mark.parametrize("opset", [12, 13, 15, 18, 20, 23, 26])
def test_every_opset_is_served(opset: int, tmp_path: Path) -> None:
    make = graph([node("Softmax", ["x"], ["y"], axis=1)], opset=opset)
    file = make(tmp_path)
    assert add(file)[0] == 0
    agree(file, tmp_path / "published")


@pytest.mark.parametrize(
    "name", ["my input", "a/b:0", "Größe ☃", 'it\'s "q"', "error", "items", "id", "$ref"]
)
def test_every_printable_name_is_served(name: str, tmp_path: Path) -> None:
    file = save(
        tmp_path / "named.onnx",
        [node("Relu", [name], [f"{name} out"])],
        [tensor(name, FLOAT, ["n", 4])],
        [tensor(f"{name} out", FLOAT, ["n", 4])],
    )
    assert add(file)[0] == 0
    agree(file, tmp_path / "published")
