"""Requests drawn from a signature: the same seed gives the same bytes, and shapes and bounds hold."""

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.errors import UsageError
from bench.request_sets.draft import DraftSet, read_draft, require_place, write_draft
from bench.request_sets.drawing import USUAL_BOUND, Wishes, draw
from bench.request_sets.found_bounds import first_refused, found_bounds
from bench.request_sets.manifest import MANIFEST
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import DTYPES, InputTensor, SetRequest
from bench.request_sets.stated_model import StatedModel, StatedTensor, stated_model


def model(**inputs: tuple[str, list[int]]) -> StatedModel:
    return StatedModel("m", tuple(StatedTensor(name, *one) for name, one in inputs.items()))


def inputs_of(request: SetRequest) -> dict[str, InputTensor]:
    assert isinstance(request.body, tuple)
    return {one.name: one for one in request.body}


def drawn(stated: StatedModel, count: int = 8, seed: int = 1, **wishes: Any) -> list[dict[str, InputTensor]]:
    return [inputs_of(one) for one in read_draft(draw(stated, count, seed, Wishes(**wishes))).requests]


datatypes = st.sampled_from(sorted(DTYPES))
shapes = st.lists(st.sampled_from([-1, 1, 2, 5]), max_size=3).map(lambda inner: [-1, *inner])


@given(datatypes, shapes, st.integers(0, 2**40))
def test_what_is_drawn_has_the_stated_datatype_and_shape(datatype: str, shape: list[int], seed: int) -> None:
    stated = model(x=(datatype, shape))
    found = drawn(stated, 4, seed)
    for number, inputs in enumerate(found):
        values = inputs["x"].data
        assert isinstance(values, np.ndarray)
        assert values.dtype == DTYPES[datatype]
        size = (8, 64)[number % 2]
        assert values.shape == (1, *(size if one == -1 else one for one in shape[1:]))
        if values.dtype.kind in "iu":
            assert values.min(initial=0) >= 0
            assert values.max(initial=0) < USUAL_BOUND


@given(datatypes, shapes, st.integers(0, 2**40))
def test_the_same_seed_gives_the_same_bytes(datatype: str, shape: list[int], seed: int) -> None:
    stated = model(x=(datatype, shape), image=("BYTES", [-1]), text=("BYTES", [-1]))
    wishes = Wishes(sizes={"image": ((32, 24), (64, 48))})
    one, other = (draw(stated, 3, seed, wishes) for _ in range(2))
    assert one == other
    assert draw(stated, 3, seed + 1, wishes) != one


def test_a_larger_set_begins_with_the_smaller_one() -> None:
    stated = model(x=("FP32", [-1, -1]))
    assert draw(stated, 9, 1, Wishes()).requests[:4] == draw(stated, 4, 1, Wishes()).requests


@given(
    st.sampled_from(["FP16", "FP32", "FP64"]),
    st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000)).filter(lambda ends: ends[0] < ends[1]),
)
def test_floats_keep_to_their_range(datatype: str, ends: tuple[float, float]) -> None:
    (inputs,) = drawn(model(x=(datatype, [-1, 50])), 1, ranges={"x": (ends,)})
    values, dtype = np.asarray(inputs["x"].data), DTYPES[datatype].type
    assert (values >= dtype(ends[0])).all()  # type: ignore[arg-type]  # a type of floats
    assert (values <= dtype(ends[1])).all()  # type: ignore[arg-type]  # the same


@given(st.sampled_from([name for name in DTYPES if "INT" in name]), st.data())
def test_whole_numbers_keep_to_their_range_up_to_the_ends_of_the_datatype(
    datatype: str, data: st.DataObject
) -> None:
    holds = np.iinfo(DTYPES[datatype])
    least = data.draw(st.integers(max(int(holds.min), -(2**53)), min(int(holds.max), 2**53) - 1))
    most = data.draw(st.integers(least + 1, min(int(holds.max), 2**53)))
    (inputs,) = drawn(model(x=(datatype, [-1, 50])), 1, ranges={"x": ((least, most),)})
    values = np.asarray(inputs["x"].data)
    assert least <= values.min()
    assert values.max() < most


def test_each_column_has_a_range_of_its_own() -> None:
    (inputs,) = drawn(model(x=("FP32", [-1, 20, 2])), 1, ranges={"x": ((0.0, 1.0), (100.0, 101.0))})
    values = np.asarray(inputs["x"].data)
    assert (values[..., 0] <= 1).all()
    assert (values[..., 1] >= 100).all()


def test_floats_without_a_range_are_normal() -> None:
    (inputs,) = drawn(model(x=("FP32", [-1, 40_000])), 1)
    values = np.asarray(inputs["x"].data, np.float64)
    assert abs(values.mean()) < 0.03
    assert values.std() == pytest.approx(1, abs=0.03)


def test_an_input_that_is_not_named_is_as_long_as_the_one_that_is() -> None:
    """As a mask is, which the protocol does not say."""
    stated = model(mask=("INT64", [-1, -1]), tokens=("INT64", [-1, -1]))
    found = draw(stated, 6, 1, Wishes(sizes={"tokens": ((4,), (9,), (30,))}))
    assert found.classes() == {"small": 2, "medium": 2, "large": 2}
    lengths = [[one.shape[1] for one in inputs_of(each).values()] for each in read_draft(found).requests]
    assert lengths == [[4, 4], [9, 9], [30, 30]] * 2


def test_many_sizes_name_their_classes_after_them() -> None:
    sizes = {"x": ((4, 2), (8, 2), (8, 4), (8, 8))}
    found = draw(model(x=("FP32", [-1, -1, -1])), 4, 1, Wishes(sizes=sizes))
    assert list(found.classes()) == ["size-4x2", "size-8x2", "size-8x4", "size-8x8"]
    assert [inputs_of(one)["x"].shape for one in read_draft(found).requests] == [
        (1, 4, 2),
        (1, 8, 2),
        (1, 8, 4),
        (1, 8, 8),
    ]


def test_a_fixed_shape_has_one_class() -> None:
    assert draw(model(x=("FP32", [-1, 3])), 5, 1, Wishes()).classes() == {"default": 5}


def test_bytes_are_text_of_as_many_words_as_asked() -> None:
    found = drawn(model(text=("BYTES", [-1])), 4, sizes={"text": ((2,), (30,))})
    assert [len(inputs["text"].data[0].decode().split()) for inputs in found] == [2, 30, 2, 30]
    assert all(inputs["text"].text for inputs in found)


def test_bytes_named_image_are_pictures() -> None:
    found = drawn(model(image=("BYTES", [-1])), 2, sizes={"image": ((32, 24), (320, 200))})
    pictures = [Image.open(io.BytesIO(inputs["image"].data[0])) for inputs in found]
    assert [(one.format, one.size) for one in pictures] == [("JPEG", (32, 24)), ("JPEG", (320, 200))]
    assert found[0]["image"].content_type == "image/jpeg"


def test_flags_are_both() -> None:
    (inputs,) = drawn(model(x=("BOOL", [-1, 100])), 1)
    assert set(np.asarray(inputs["x"].data).ravel().tolist()) == {False, True}


def test_many_numbers_lie_in_a_file_and_few_in_the_manifest(tmp_path: Path) -> None:
    stated = model(few=("FP32", [-1, 4]), many=("FP32", [-1, 100, 100]))
    found = draw(stated, 2, 1, Wishes())
    write_draft(found, tmp_path / "set", force=False)
    assert {one.name for one in (tmp_path / "set").iterdir()} == {MANIFEST, "1-0000.npy", "1-0001.npy"}
    again = read_request_set(tmp_path / "set").requests
    for one, other in zip(read_draft(found).requests, again, strict=True):
        for name, tensor in inputs_of(one).items():
            np.testing.assert_array_equal(tensor.data, inputs_of(other)[name].data)


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        ({"ranges": {"y": ((0, 1),)}}, "--range y: the model's inputs are x, n, flag, text, image"),
        ({"sizes": {"y": ((1,),)}}, "--sizes y: the model's inputs are x, n, flag, text, image"),
        ({"ranges": {"flag": ((0, 1),)}}, "--range flag: it is BOOL, which has no range: leave it out"),
        ({"ranges": {"text": ((0, 1),)}}, "--range text: it is BYTES, which has no range: leave it out"),
        (
            {"ranges": {"n": ((0, 129),)}},
            "--range n: it is INT8, which does not reach so far: narrow the range",
        ),
        ({"ranges": {"n": ((0.5, 3),)}}, "--range n: it is INT8: name whole numbers"),
        (
            {"ranges": {"x": ((0, 1), (0, 1))}},
            r"--range x has 2 ranges, and the shape is \[-1, 3, -1\]: name one",
        ),
        ({"sizes": {"n": ((4,),)}}, "--sizes n: no axis of it varies: leave it out"),
        ({"sizes": {"x": ((4, 4),)}}, "--sizes x: 1 of its axes vary: name a size, or one for each axis"),
        ({"sizes": {"image": ((4,),)}}, "--sizes image: a picture has two, such as 640x480"),
        (
            {"sizes": {"x": ((4,), (5,), (6,))}},
            "different numbers of sizes, x 3, image 2: name as many for each, --sizes",
        ),
        (
            {"sizes": {"x": ((2**25,), (2**26,))}},
            "would have 100663296 elements: name smaller ones with --sizes",
        ),
    ],
)
def test_a_wish_that_no_input_can_fulfil_is_one_line(wishes: dict[str, Any], says: str) -> None:
    stated = model(
        x=("FP32", [-1, 3, -1]),
        n=("INT8", [-1]),
        flag=("BOOL", [-1]),
        text=("BYTES", [-1]),
        image=("BYTES", [-1]),
    )
    with pytest.raises(UsageError, match=says):
        draw(stated, 2, 1, Wishes(**wishes))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"<html>", "the service's statement of its model is none"),
        (b"[]", "name a service of the Open Inference Protocol"),
        (b'{"name": "m", "inputs": []}', "states no inputs"),
        (
            b'{"name": "m", "inputs": [{"name": "x", "datatype": "BF16", "shape": [-1]}]}',
            "x is 'BF16', of which",
        ),
        (
            b'{"name": "m", "inputs": [{"name": "x", "datatype": "BYTES", "shape": [-1, 1]}]}',
            "not one element an item",
        ),
        (
            b'{"name": "m", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-2]}]}',
            "a size is -1 or from 0 on",
        ),
        (
            b'{"name": "m", "inputs": [{"name": "a\\nb", "datatype": "FP32", "shape": [-1]}]}',
            "a line of print",
        ),
        (
            json.dumps(
                {"name": "m", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}] * 2}
            ).encode(),
            "states an input twice",
        ),
    ],
)
def test_a_statement_that_nothing_can_be_drawn_from_is_one_line(answer: bytes, says: str) -> None:
    with pytest.raises(UsageError, match=says) as told:
        stated_model(answer)
    assert "\n" not in str(told.value)


@given(st.integers(1, 1000), st.integers(1, 1200))
def test_the_bound_that_a_service_has_is_found_in_few_requests(cap: int, bound: int) -> None:
    asked: list[int] = []

    def takes(value: int) -> bool:
        asked.append(value)
        return value < bound

    assert first_refused(takes, cap) == min(cap, bound)
    assert len(asked) <= 2 + math.ceil(math.log2(cap + 1))


def test_each_input_of_whole_numbers_has_its_own_bound() -> None:
    """A vocabulary of 37 and two kinds of segment; what is given is not looked for."""
    stated = model(
        tokens=("INT64", [-1, -1]), kinds=("INT32", [-1, -1]), given=("INT64", [-1]), x=("FP32", [-1])
    )

    def computes(request: SetRequest) -> bool:
        found = {name: np.asarray(one.data) for name, one in inputs_of(request).items()}
        return bool(found["tokens"].max() < 37 and found["kinds"].max() < 2 and (found["given"] == 5).all())

    wishes = Wishes(ranges={"given": ((5, 6),)})
    assert found_bounds(stated, 1, wishes, computes) == {"tokens": 37, "kinds": 2}


def test_a_service_that_refuses_everything_has_no_bound() -> None:
    assert found_bounds(model(x=("INT64", [-1])), 1, Wishes(), lambda _: False) == {}


def a_set() -> DraftSet:
    return draw(model(image=("BYTES", [-1])), 1, 1, Wishes(sizes={"image": ((8, 8),)}))


def test_a_set_that_is_there_is_replaced_by_force_alone(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_draft(a_set(), folder, force=False)
    with pytest.raises(UsageError, match=r"set/ holds a request set already: replace it with --force"):
        write_draft(a_set(), folder, force=False)
    (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes().replace(b"seed 1", b"seed 9"))
    write_draft(a_set(), folder, force=True)
    assert read_request_set(folder).title == "drawn with seed 1 for the model m"
    assert [one.name for one in tmp_path.iterdir()] == ["set"]


def test_files_that_are_no_part_of_a_set_are_never_removed(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_draft(a_set(), folder, force=False)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"set/ holds thesis\.txt beside its request set"):
        write_draft(a_set(), folder, force=True)
    (folder / MANIFEST).unlink()
    with pytest.raises(UsageError, match=r"set/ is there and holds no request set: name another folder"):
        require_place(folder, force=True)
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_a_place_below_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"set/ cannot be written \(Not a directory\): name another --out"):
        write_draft(a_set(), tmp_path / "file" / "set", force=False)


def test_a_folder_that_is_empty_takes_a_set(tmp_path: Path) -> None:
    write_draft(a_set(), tmp_path, force=False)
    assert len(read_request_set(tmp_path).requests) == 1
