"""Comparators: within the tolerance is right, beyond is wrong, and neither NaN nor another type passes."""

import json
import math
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.load.drive_plan import DrivePlan, Expected, plan_from_json, plan_to_json
from bench.model.expectations import (
    BytesExpectation,
    Expectation,
    ExpectedTensor,
    JsonExpectation,
    LabelExpectation,
    NoExpectation,
    TensorsExpectation,
    TopKExpectation,
)
from bench.request_sets.comparators import COMPARATORS, comparator_of, comparison
from bench.request_sets.json_differences import pointer_parts
from bench.request_sets.replies import FORMS

VALUES = (0.5, -2.0, 1000.0, 0.0)
OUT = ExpectedTensor("out", "FP32", (1, 4), VALUES)
RTOL, ATOL = 1e-3, 1e-4
TENSORS = TensorsExpectation((OUT,), RTOL, ATOL)
OF_TENSORS = ("json", "msgpack", "oip-json", "oip-binary", "as-is")
DTYPES = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8", "BOOL": "?"}


def answer(form: str, values: Any, datatype: str = "FP32", shape: list[int] | None = None) -> bytes:
    """One output named `out`, in a form of answers."""
    shape = shape or [1, len(values)]
    if form in ("json", "as-is"):
        return json.dumps({"out": list(values)}).encode()
    if form == "msgpack":
        packed: bytes = msgpack.packb({"out": list(values)})
        return packed
    head: dict[str, Any] = {"name": "out", "datatype": datatype, "shape": shape}
    if form == "oip-json":
        return json.dumps({"model_name": "m", "outputs": [{**head, "data": list(values)}]}).encode()
    data = np.array(values, DTYPES[datatype]).tobytes()
    head["parameters"] = {"binary_data_size": len(data)}
    return json.dumps({"model_name": "m", "outputs": [head]}).encode() + data


def right(expect: Expectation, body: bytes, form: str = "json") -> bool:
    return comparison(expect, form, 0.02)(body).right


@pytest.mark.parametrize("form", OF_TENSORS)
@given(place=st.integers(0, 3), share=st.floats(-0.99, 0.99))
def test_within_the_tolerance_is_right_and_its_share_is_told(form: str, place: int, share: float) -> None:
    values = list(VALUES)
    values[place] += share * (ATOL + RTOL * abs(VALUES[place]))
    found = comparison(TENSORS, form, 0.02)(answer(form, values, "FP32"))
    assert found.right
    assert found.off == pytest.approx(abs(share), abs=0.05)


@pytest.mark.parametrize("form", OF_TENSORS)
@given(place=st.integers(0, 3), share=st.floats(1.05, 1e6), sign=st.sampled_from([-1, 1]))
def test_beyond_the_tolerance_is_wrong_and_the_element_is_named(
    form: str, place: int, share: float, sign: int
) -> None:
    values = list(VALUES)
    values[place] += sign * share * (ATOL + RTOL * abs(VALUES[place]))
    found = comparison(TENSORS, form, 0.02)(answer(form, values))
    assert not found.right
    assert f"out[{place}] is " in found.complaint


@pytest.mark.parametrize("form", OF_TENSORS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
def test_what_is_no_finite_number_is_never_right(form: str, value: float, place: int) -> None:
    values = list(VALUES)
    values[place] = value
    loose = TensorsExpectation((OUT,), 1e9, 1e9)
    assert not right(loose, answer(form, values), form)


@pytest.mark.parametrize("form", ["oip-json", "oip-binary"])
@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [4, 1]},
        {"shape": [4]},
        {"datatype": "FP64"},
        {"values": VALUES[:3]},
        {"values": (*VALUES, 0.0)},
    ],
)
def test_another_shape_or_datatype_is_wrong(form: str, changes: dict[str, Any]) -> None:
    told = {"values": VALUES, **changes}
    assert not right(TENSORS, answer(form, told.pop("values"), **told), form)


@pytest.mark.parametrize("form", ["json", "msgpack", "as-is"])
@pytest.mark.parametrize(
    "value",
    [
        [VALUES],
        list(VALUES[:3]),
        [*VALUES[:3], [0.0]],
        [*VALUES[:3], "0"],
        [*VALUES[:3], False],
        [*VALUES[:3], None],
        0.5,
        {},
        None,
    ],
)
def test_what_is_not_nested_or_typed_alike_is_wrong(form: str, value: Any) -> None:
    content = {"out": value}
    body = msgpack.packb(content) if form == "msgpack" else json.dumps(content).encode()
    assert not right(TENSORS, body, form)


def test_several_items_come_as_a_list_of_objects() -> None:
    two = TensorsExpectation((ExpectedTensor("out", "FP32", (2, 2), VALUES),))
    assert right(two, json.dumps([{"out": [0.5, -2.0]}, {"out": [1000, 0]}]).encode())
    assert not right(two, json.dumps([{"out": [0.5, -2.0]}]).encode())
    assert not right(two, json.dumps([{"out": [0.5, -2.0]}, {"error": "no"}]).encode())


def test_other_outputs_beside_those_that_are_compared_do_not_count() -> None:
    assert right(TENSORS, json.dumps({"out": VALUES, "more": 1}).encode())
    assert not right(TENSORS, json.dumps({"more": VALUES}).encode())


@pytest.mark.parametrize("form", ["json", "oip-json", "oip-binary"])
@pytest.mark.parametrize(
    ("datatype", "values", "other"),
    [("INT64", [1, 2**60], [1, 2**60 + 1]), ("BOOL", [True, False], [True, True])],
)
def test_whole_numbers_and_flags_are_compared_exactly(
    form: str, datatype: str, values: list[Any], other: list[Any]
) -> None:
    exact = TensorsExpectation((ExpectedTensor("out", datatype, (1, 2), tuple(values)),), 1.0, 1.0)
    assert right(exact, answer(form, values, datatype), form)
    assert not right(exact, answer(form, other, datatype), form)


def test_text_is_compared_exactly_in_every_form() -> None:
    texts = TensorsExpectation((ExpectedTensor("out", "BYTES", (1,), ("gläd",)),))
    head: dict[str, Any] = {"name": "out", "datatype": "BYTES", "shape": [1]}
    for text, is_right in (("gläd", True), ("glad", False)):
        data = text.encode()
        packed = len(data).to_bytes(4, "little") + data
        size = {"parameters": {"binary_data_size": len(packed)}}
        assert right(texts, json.dumps({"out": text}).encode()) is is_right
        assert (
            right(texts, json.dumps({"outputs": [{**head, "data": [text]}]}).encode(), "oip-json") is is_right
        )
        assert (
            right(texts, json.dumps({"outputs": [head | size]}).encode() + packed, "oip-binary") is is_right
        )
        assert right(texts, msgpack.packb({"out": data}), "msgpack") is is_right


JSON_ROWS: list[tuple[Any, dict[str, Any], Any, bool]] = [
    ({"a": 1, "b": [1, 2]}, {}, {"b": [1, 2], "a": 1}, True),
    ({"a": 1}, {}, {"a": 1.0}, True),
    ({"a": 1}, {}, {"a": True}, False),
    ({"a": True}, {}, {"a": 1}, False),
    ({"a": 1}, {}, {"a": 1, "b": 2}, False),
    ({"a": 1, "b": 2}, {}, {"a": 1}, False),
    ({"a": 1}, {"ignore": ("/b",)}, {"a": 1, "b": 2}, True),
    ({"a": 1, "b": 2}, {"ignore": ("/b",)}, {"a": 1}, True),
    ({"a": {"b": 1}}, {"ignore": ("/*/b",)}, {"a": {"b": 7}}, True),
    ({"a": [1, 2]}, {"tolerances": {"/a/*": 0.1}}, {"a": [1.05, 1.95]}, True),
    ({"a": [1, 2]}, {"tolerances": {"/a/1": 0.1}}, {"a": [1.05, 2]}, False),
    ({"a": [1, 2]}, {"tolerances": {"/a/*": 0.1}}, {"a": [1.05, 1.8]}, False),
    ({"a": [1, 2]}, {"tolerances": {"/a": 0.1}}, {"a": [1.05, 2]}, False),
    ({"a/b": 1, "~": 2}, {"tolerances": {"/a~1b": 1, "/~0": 1}}, {"a/b": 2, "~": 1}, True),
    ([1, 2], {}, [1, 2, 3], False),
    ([1, 2], {}, [2, 1], False),
    ("x", {}, "x", True),
    (None, {}, None, True),
    (None, {}, {}, False),
    (1, {"tolerances": {"": 0.5}}, 1.5, True),
    ({"a": 1}, {"ignore": ("",)}, [], True),
]


@pytest.mark.parametrize(("value", "options", "sent", "is_right"), JSON_ROWS)
def test_json_is_compared_by_path(value: Any, options: dict[str, Any], sent: Any, is_right: bool) -> None:
    expect = JsonExpectation(value, **options)
    found = comparison(expect, "json", 0.02)(json.dumps(sent).encode())
    assert found.right is is_right
    assert bool(found.complaint) is not is_right
    assert right(expect, msgpack.packb(sent), "msgpack") is is_right


def test_json_with_nan_or_of_another_form_is_wrong() -> None:
    expect = JsonExpectation({"a": 1}, {"/a": 1e9})
    assert not right(expect, msgpack.packb({"a": math.nan}), "msgpack")
    assert not right(expect, b'{"a": NaN}')
    assert not right(expect, b"not json")
    with pytest.raises(ValueError, match="is no JSON pointer"):
        pointer_parts("a/b")


def test_bytes_are_right_alone() -> None:
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    for expect in (
        BytesExpectation(text="hello"),
        BytesExpectation(base64="aGVsbG8="),
        BytesExpectation(sha256=digest),
    ):
        for form in FORMS:
            assert right(expect, b"hello", form)
            assert not right(expect, b"hello ", form)
    assert right(BytesExpectation(text=""), b"")


BEST = TopKExpectation(2, ("rain", "snow"))


@pytest.mark.parametrize(
    ("probabilities", "is_right"),
    [
        ({"rain": 0.5, "snow": 0.3, "hail": 0.2}, True),
        ({"snow": 0.5, "rain": 0.3, "hail": 0.2}, True),
        ({"rain": 0.5, "snow": 0.2, "hail": 0.3}, False),
        ({"rain": 0.5, "snow": 0.25, "hail": 0.25}, True),
        ({"rain": 0.5, "snow": 0.5}, True),
        ({"rain": 0.5, "hail": 0.5}, False),
        ({"rain": 0.5, "snow": None, "hail": 0.2}, False),
        ({"rain": True, "snow": 0.5}, False),
        ([0.5, 0.3], False),
    ],
)
def test_the_best_classes_are_right_in_any_order(probabilities: Any, is_right: bool) -> None:
    assert right(BEST, json.dumps({"probabilities": probabilities}).encode()) is is_right


def test_an_answer_that_ranks_nothing_has_no_best_classes() -> None:
    flat = {"probabilities": {"a": 0.0, "b": 0.0, "c": 0.0}}
    assert not right(TopKExpectation(2, ("a", "b")), json.dumps(flat).encode())


def test_the_best_classes_may_come_ranked_too() -> None:
    ranked = [{"class": "snow", "probability": 0.5}, {"class": "rain", "probability": 0.4}]
    assert right(BEST, json.dumps({"prediction": "snow", "top_k": ranked}).encode())
    assert not right(BEST, json.dumps({"prediction": "snow", "top_k": ranked[:1]}).encode())
    assert not right(BEST, msgpack.packb({"probabilities": {"rain": math.nan, "snow": 1.0}}), "msgpack")


def test_nothing_says_that_an_unchecked_answer_is_wrong() -> None:
    assert right(NoExpectation(), b"")
    assert right(NoExpectation(), b"\xff")


ALL: list[Expectation] = [
    LabelExpectation("rain", {"rain": 1.0}, tolerance=0.1),
    TENSORS,
    JsonExpectation({"a": [1, None]}, {"/a": 1}, ("/b",)),
    BytesExpectation(text="x"),
    BEST,
    NoExpectation(),
]


def test_every_expectation_has_its_comparator() -> None:
    assert {type(one) for one in ALL} == set(COMPARATORS)
    assert all(set(comparator_of(one).forms) <= set(FORMS) for one in ALL)


@pytest.mark.parametrize("form", FORMS)
@given(body=st.binary(max_size=200))
@example(body=b'{"outputs":[{"name":"out","datatype":"BYTES","shape":[1],"data":[7]}]}')
@example(body=b'{"outputs":[{"name":"out","datatype":"FP32","shape":[1,4],"data":[1e999]}]}')
@example(body=b'{"out":[1e308,1e308,1e308,1e308]}')
@example(body=b'{"outputs":[{"name":"out","datatype":"INT64","shape":[1,4],"data":7}]}')
@example(body=b'{"outputs":[{"name":"out","datatype":"FP32","shape":null,"data":[[1]]}]}')
@example(body=b'{"probabilities":"x","top_k":[1]}')
def test_no_answer_makes_a_comparator_raise(form: str, body: bytes) -> None:
    for one in ALL[:3] + ALL[4:5]:
        assert not right(one, body, form)


def test_a_drivers_plan_carries_every_expectation() -> None:
    payloads = tuple(Expected(0, 1, "a/b", one, "/x", {"A": "b"}, "oip-json", "PUT", 2.0) for one in ALL)
    plan = DrivePlan(
        host="h",
        port=1,
        path="/",
        clients=1,
        rate_per_s=None,
        arrivals="poisson",
        latest_begin_s=1,
        window_s=1,
        window_most_s=1,
        drain_s=1,
        timeout_s=1,
        seed=1,
        tolerance=0.02,
        bodies="b",
        payloads=payloads,
        columns="c",
        summary="s",
    )
    assert plan_from_json(plan_to_json(plan)) == plan
