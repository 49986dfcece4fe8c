"""The handler of tensors: what it groups, checks and refuses, around an engine that notes what it does."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving_core.drawn import MOST_BYTES, example_item, example_items, most_at_once, sizes_of
from serving_core.engine import Batching, Compute, Takes, Uncomputable
from serving_core.errors import RequestError, StartError
from serving_core.handler import Context
from serving_core.models.manifest import StatedExample, kind_of, read_manifest, read_tensors
from serving_core.models.store import Model
from serving_core.network import Arrays, Network
from serving_core.tensor_model import TensorModel
from serving_core.tensors import TensorSpec
from serving_core.workers import TURN_S

Shapes = list[tuple[int, ...]]


class Recorder:
    """Sums rows; it takes no row shorter than `least`, and no row with a negative number."""

    name = "recorder"
    takes: Sequence[Takes] = ("crop",)
    batching = Batching(size=4)

    def __init__(self, dtype: str = "float32", least: int = 0, rows: int = 1) -> None:
        self.computed: Shapes = []
        self._dtype, self._least, self._rows = dtype, least, rows

    def load(self, path: Path, network: Network, compute: Compute) -> None:
        """Need nothing."""
        del path, network, compute

    def warm(self, examples: Sequence[Arrays]) -> None:
        """Compute them."""
        for example in examples:
            self.predict(example)

    def predict(self, inputs: Arrays) -> Arrays:
        """Return sums."""
        (array,) = inputs
        self.computed.append(array.shape)
        if array.shape[-1] < self._least:
            raise ValueError("too short for its kernel")
        if (array < 0).any():
            raise Uncomputable("negative")
        sums = np.asarray(array.sum(-1), self._dtype)
        return [sums if self._rows == 1 else sums.repeat(self._rows, 0)]


def manifest(**changes: Any) -> dict[str, Any]:
    return {
        "name": "sums",
        "kind": "tensors",
        "inputs": [{"name": "row", "datatype": "FP32", "shape": [-1]}],
        "outputs": [{"name": "sum", "datatype": "FP32", "shape": []}],
        "batch": "any",
        **changes,
    }


def made(engine: Recorder, max_batch: int = 1, **changes: Any) -> TensorModel:
    handler = TensorModel()
    read = read_manifest(json.dumps(manifest(**changes)).encode(), "here/model.json")
    handler.load(
        Model(Path("sums.pt2"), read, cached=True), Context(lambda: engine, Compute(max_batch=max_batch), 1)
    )
    return handler


def results(handler: TensorModel, rows: list[Any]) -> list[float]:
    items = [handler.preprocess({"row": np.asarray(row, np.float32)}) for row in rows]
    return [float(handler.postprocess(one)["sum"]) for one in handler.predict(items)]


def test_items_of_equal_shapes_are_computed_together_and_stay_in_order() -> None:
    engine = Recorder()
    handler = made(engine)
    assert results(handler, [[1, 2], [3], [4, 5], [6], [7, 8]]) == [3, 3, 9, 6, 15]
    assert engine.computed == [(3, 2), (2, 1)]
    assert "together" in str(handler.computes)


@pytest.mark.parametrize(("batch", "shape"), [("one", (1, 2)), ("none", (2,))])
def test_items_without_a_batch_are_computed_one_by_one(batch: str, shape: tuple[int, ...]) -> None:
    engine = Recorder()
    handler = made(engine, batch=batch)
    assert results(handler, [[1, 2], [3, 4]]) == [3, 7]
    assert engine.computed == [shape, shape]
    assert str(handler.computes).startswith("one by one: ")


def test_an_example_is_drawn_from_the_signature_and_is_always_the_same() -> None:
    inputs = [
        {"name": "row", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "tokens", "datatype": "INT64", "shape": [-1]},
        {"name": "kept", "datatype": "BOOL", "shape": []},
        {"name": "word", "datatype": "BYTES", "shape": []},
    ]
    first, second = (made(Recorder(), inputs=inputs).example() for _ in range(2))
    assert [np.shape(value) for value in first.values()] == [(8, 3), (8,), (), ()]
    assert {*np.unique(first["tokens"])} <= {0, 1}
    assert isinstance(first["word"], bytes)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


def test_an_example_has_the_first_size_that_the_model_takes() -> None:
    engine = Recorder(least=20)
    handler = made(engine)
    handler.warm()
    assert handler.example()["row"].shape == (32,)
    assert handler.batching == Batching(size=4)


def described(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"shape": [*array.shape], "data": base64.b64encode(array.tobytes()).decode()}


def test_the_manifests_example_comes_first() -> None:
    engine = Recorder(least=300)
    row = np.arange(300, dtype=np.float32)
    handler = made(engine, example={"row": described(row)})
    np.testing.assert_array_equal(handler.example()["row"], row)
    handler.warm()
    assert engine.computed[0] == (1, 300)


def test_an_example_may_be_a_range_or_a_text() -> None:
    inputs = [
        {"name": "row", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "tokens", "datatype": "INT64", "shape": [-1]},
        {"name": "kept", "datatype": "BOOL", "shape": [2]},
        {"name": "word", "datatype": "BYTES", "shape": []},
    ]
    example = {
        "row": {"shape": [40, 3], "least": -5, "most": -4.5},
        "tokens": {"shape": [4000], "least": 100, "most": 109},
        "kept": described(np.array([True, False])),
        "word": {"text": "grün"},
    }
    item = made(Recorder(), inputs=inputs, example=example).example()
    assert (item["row"].shape, item["row"].dtype) == ((40, 3), np.float32)
    assert -5 <= item["row"].min() <= item["row"].max() <= -4.5
    assert (item["tokens"].dtype, {*item["tokens"].tolist()}) == (np.int64, {*range(100, 110)})
    assert item["kept"].tolist() == [True, False]
    assert item["word"] == "grün".encode()


def test_if_the_manifests_example_fails_others_are_drawn() -> None:
    handler = made(Recorder(least=20), example={"row": described(np.zeros(3, np.float32))})
    handler.warm()
    assert handler.example()["row"].shape == (32,)


@pytest.mark.parametrize(
    ("example", "says"),
    [
        ({"other": {"shape": [1]}}, r"example: it has \['other'\], the inputs are \['row'\]"),
        ({"row": {"shape": [1, 2]}}, r"row has shape \[-1\], its example \[1, 2\]"),
        ({"row": {"shape": [2], "data": "AAAA"}}, "row has 3 bytes, its shape 8"),
        ({"row": {"shape": [2], "data": "%"}}, r"example\.row\.data"),
        ({"row": {"text": "a"}}, "row is FP32, and its example is not"),
        ({"row": {"shape": [2], "least": 2, "most": 1}}, "row is from 2 to 1"),
        ({"row": {"shape": [2], "most": 1e300}}, "row is from 0 to 1e"),
        ({"row": {"shape": [10**9]}}, "row has more than 67108864 bytes"),
        ({"row": {"shape": [-1]}}, r"example\.row\.shape"),
    ],
)
def test_an_example_that_fits_no_input_is_told(example: dict[str, Any], says: str) -> None:
    with pytest.raises(StartError, match=says):
        made(Recorder(), example=example)


def test_no_example_is_drawn_that_would_not_fit_in_memory() -> None:
    def sizes(axes: int, outputs: int = 0) -> tuple[int, ...]:
        inputs, made_ = ((TensorSpec("row", "FP32", (-1,) * number),) for number in (axes, outputs))
        return sizes_of(Network(inputs, made_))

    assert sizes(2) == (8, 32, 224)
    assert sizes(4) == sizes(1, outputs=4) == (8, 32)
    assert sizes(9) == (1,)
    item = example_item(Network((TensorSpec("row", "FP32", (-1,) * 9),), ()), 1)
    assert item["row"].size == 1


def test_a_batch_that_warms_up_has_so_much_memory() -> None:
    example, made_ = [np.zeros((1, 2**20), np.uint8)], [np.zeros((1, 2**20), np.uint8)]
    assert most_at_once(1000, example, made_) == MOST_BYTES // 2**21
    assert most_at_once(8, example, made_) == 8
    assert most_at_once(8, [np.zeros((1, 2**27), np.uint8)], []) == 1


def test_large_items_are_fewer_at_once_than_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = made(Recorder(), max_batch=4)
    monkeypatch.setattr(handler, "_item_s", lambda: TURN_S / 4)
    handler.warm()
    large, small = {"row": np.zeros(32, np.float32)}, {"row": np.zeros(2, np.float32)}
    assert handler.together == 4
    assert [len(part) for part in handler.parts([small] * 9)] == [4, 4, 1]
    assert [len(part) for part in handler.parts([large] * 3)] == [1, 1, 1]
    assert [len(part) for part in handler.parts([small, small, large, small])] == [2, 1, 1]
    assert not list(handler.parts([]))


def test_a_quick_model_s_larger_items_are_computed_together_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is bounded is how long they take, and not the most that a batch may have."""
    handler = made(Recorder(), max_batch=4)
    monkeypatch.setattr(handler, "_item_s", lambda: TURN_S / 1000)
    handler.warm()
    large = {"row": np.zeros(32, np.float32)}
    assert [len(part) for part in handler.parts([large] * 5)] == [4, 1]


@pytest.mark.parametrize(
    ("batch", "max_batch", "together"), [("any", 5, 5), ("any", 1, 1), ("one", 5, 1), ("none", 5, 1)]
)
def test_items_of_a_request_may_be_computed_together_if_they_take_a_moment(
    batch: str, max_batch: int, together: int
) -> None:
    handler = made(Recorder(), max_batch, batch=batch)
    handler.warm()
    assert handler.together == together


def test_a_slow_models_items_are_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = made(Recorder(), max_batch=8)
    monkeypatch.setattr(handler, "_item_s", lambda: TURN_S / 2)
    handler.warm()
    assert handler.together == 2


def test_a_model_that_computes_no_example_ends_the_start_in_one_line() -> None:
    with pytest.raises(
        StartError, match=r"^sums\.pt2 computes no input .*too short for its kernel\): publish"
    ):
        made(Recorder(least=9999)).warm()


@pytest.mark.parametrize(
    ("engine", "changes", "says"),
    [
        (Recorder("float64"), {}, r"'sum' is float64 \[1\], its manifest says FP32 \[1\]"),
        (Recorder(rows=2), {}, r"'sum' is float32 \[2\]"),
        (Recorder(), {"outputs": [{"name": "sum", "datatype": "FP32", "shape": [2]}]}, r"says FP32 \[1, 2\]"),
        (
            Recorder(),
            {"outputs": [{"name": name, "datatype": "FP32", "shape": []} for name in ("sum", "mean")]},
            "gives 1 outputs, its manifest has 2",
        ),
    ],
)
def test_outputs_unlike_the_manifests_end_the_start(
    engine: Recorder, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(StartError, match=says) as refusal:
        made(engine, **changes).warm()
    assert str(refusal.value).endswith("publish the model and its manifest again")


def test_outputs_of_another_shape_later_are_our_fault() -> None:
    engine = Recorder()
    handler = made(engine)
    handler.warm()
    engine._rows = 2
    with pytest.raises(ValueError, match="'sum' is"):
        results(handler, [[1, 2]])


def test_what_cannot_be_computed_is_the_items_fault_if_it_is_alone() -> None:
    handler = made(Recorder())
    with pytest.raises(RequestError) as refusal:
        results(handler, [[-1, 2]])
    assert refusal.value.status == 422
    with pytest.raises(Uncomputable):  # the batch is split, and each is tried alone
        results(handler, [[-1, 2], [1, 2]])


def test_text_reaches_the_engine_as_strings_and_must_be_utf_8() -> None:
    inputs = [{"name": "word", "datatype": "BYTES", "shape": []}]
    handler = made(Recorder(), inputs=inputs)
    (array,) = handler.preprocess({"word": "grün".encode()}).arrays
    assert array.tolist() == ["grün"]
    assert handler.inputs[0].text
    with pytest.raises(RequestError) as refusal:
        handler.preprocess({"word": b"\xff"})
    assert refusal.value.status == 422


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"inputs": []}, "inputs"),
        ({"outputs": [{"name": "sum"}]}, r"outputs\.0\.datatype"),
        ({"inputs": [{"name": "row", "datatype": "BF16", "shape": [1]}]}, "has datatype 'BF16'"),
        ({"inputs": [{"name": "row", "datatype": "BYTES", "shape": [2]}]}, "BYTES of shape"),
        ({"inputs": [{"name": "row", "datatype": "FP32", "shape": [-2]}]}, r"inputs\.0\.shape"),
        ({"inputs": [{"name": "row", "datatype": "FP32", "shape": [1]}] * 2}, "must differ"),
        ({"batch": "all"}, "batch"),
    ],
)
def test_a_wrong_signature_is_told_by_field(changes: dict[str, Any], says: str) -> None:
    read = read_manifest(json.dumps(manifest(**changes)).encode(), "here/model.json")
    with pytest.raises(StartError, match=says) as refusal:
        read_tensors(read)
    assert str(refusal.value).startswith("here/model.json")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [({"kind": "tensors"}, "tensors"), ({"kind": "image"}, "image"), ({"labels": ["a", "b"]}, "image")],
)
def test_the_kind_is_what_the_manifest_says(fields: dict[str, Any], kind: str) -> None:
    assert kind_of(read_manifest(json.dumps({"name": "m", **fields}).encode(), "here")) == kind


@pytest.mark.parametrize(("fields", "says"), [({}, "names no kind"), ({"kind": "audio"}, "'audio'")])
def test_a_model_without_a_kind_needs_a_handler(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(StartError, match=f"{says}.*HANDLER"):
        kind_of(read_manifest(json.dumps({"name": "m", **fields}).encode(), "here"))


def test_a_range_as_wide_as_floats_are_is_drawn_from() -> None:
    inputs = (TensorSpec("row", "FP64", (3,)),)
    item = next(
        example_items(Network(inputs, (), example={"row": StatedExample((3,), least=-1.7e308, most=1.7e308)}))
    )
    assert np.isfinite(item["row"]).all()
