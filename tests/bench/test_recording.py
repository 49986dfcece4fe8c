"""What must come back, made of two answers: the comparator that fits, and the tolerance that would accept."""

import json
import math
import struct
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import InvalidRunError, UsageError
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
from bench.model.how_to_compare import WAYS, HowToCompare
from bench.request_sets.comparators import COMPARATORS, comparison
from bench.request_sets.json_tolerances import rounded_up
from bench.request_sets.recording import MAKERS, Recorded, ReferenceAnswer, places_of, recorded
from bench.request_sets.rewriting import read_manifest, rewrite, with_expectations
from bench.request_sets.stated_model import StatedTensor

STATED = (
    StatedTensor("score", "FP32", (-1,)),
    StatedTensor("grid", "FP64", (-1, 2, -1)),
    StatedTensor("count", "INT64", (-1,)),
    StatedTensor("mood", "BYTES", (-1,)),
)
VALUE = {"score": 0.1, "grid": [[1.5, 2], [3.25, 4]], "count": 7, "mood": "glad"}
LABELLED = {"prediction": "snow", "probabilities": {"rain": 0.25, "snow": 0.75}}
USUAL = 0.02


def record(
    first: Any,
    second: Any = None,
    how: HowToCompare | None = None,
    form: str = "json",
    stated: tuple[StatedTensor, ...] = (),
    others: tuple[Any, ...] = (),
) -> Recorded:
    """Record these two answers, of a set with others."""
    bodies = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in (first, second)]
    answers = [ReferenceAnswer(body, form) for body in (bodies if second is not None else bodies[:1] * 2)]
    places = places_of([*answers, *(ReferenceAnswer(json.dumps(one).encode(), "json") for one in others)])
    return recorded("r", (answers[0], answers[1]), stated, how or HowToCompare(), USUAL, places)


def oip_binary(score: float, mood: str = "glad") -> bytes:
    outputs = [
        {"name": "score", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}},
        {
            "name": "mood",
            "datatype": "BYTES",
            "shape": [1],
            "parameters": {"binary_data_size": 4 + len(mood)},
        },
    ]
    tensors = struct.pack("<f", score) + struct.pack("<I", len(mood)) + mood.encode()
    return json.dumps({"model_name": "m", "outputs": outputs}).encode() + tensors


def test_a_class_that_the_tolerance_could_make_the_likeliest_is_right_too() -> None:
    close = {"prediction": "snow", "probabilities": {"rain": 0.38, "snow": 0.4, "hail": 0.2, "rime": 0.02}}
    expect = record(close).expect
    assert isinstance(expect, LabelExpectation)
    assert expect.near == ("rain",)
    compare = comparison(expect, "json", USUAL)
    for label, rain, right in (
        ("snow", 0.38, True),
        ("rain", 0.395, True),
        ("rain", 0.38, False),
        ("hail", 0.38, False),
    ):
        answer = {"prediction": label, "probabilities": {**expect.probabilities, "rain": rain, "snow": 0.39}}
        assert compare(json.dumps(answer).encode()).right == right, (label, rain)
    sure = record(LABELLED).expect
    assert isinstance(sure, LabelExpectation)
    assert sure.near == ()
    wide = record(LABELLED, how=HowToCompare(tolerance=0.25)).expect
    assert isinstance(wide, LabelExpectation)
    assert wide.near == ("rain",)


def test_every_way_has_its_maker() -> None:
    assert tuple(MAKERS) == WAYS
    assert {one.name for one in COMPARATORS.values()} == set(WAYS)


def test_label_and_probabilities_are_a_label() -> None:
    expected = LabelExpectation("snow", {"rain": 0.25, "snow": 0.75})
    assert record(LABELLED).expect == expected
    assert record(msgpack.packb(LABELLED), form="msgpack").expect == expected
    assert record(LABELLED, form="as-is", stated=STATED).expect == expected


@pytest.mark.parametrize("label", [["snow"], {"snow": 1}, 3, None])
def test_a_label_that_is_no_text_is_json_and_no_right_label(label: Any) -> None:
    answer = {**LABELLED, "prediction": label}
    assert isinstance(record(answer).expect, JsonExpectation)
    compare = comparison(LabelExpectation("snow", {"rain": 0.25, "snow": 0.75}), "json", USUAL)
    assert not compare(json.dumps(answer).encode()).right


def test_ranked_classes_that_are_numbers_are_recorded() -> None:
    ranked = {"top_k": [{"class": 3, "probability": 0.5}, {"class": 7, "probability": 0.3}]}
    found = record(ranked, how=HowToCompare(compare="top-k", k=2)).expect
    assert found == TopKExpectation(2, ("3", "7"))


def test_what_was_recorded_with_no_tolerance_is_right_again() -> None:
    """0.1 in single precision is no decimal number of a few digits."""
    found = record(oip_binary(0.1), form="oip-binary", how=HowToCompare(rtol=0.0, atol=0.0)).expect
    assert isinstance(found, TensorsExpectation)
    compare = comparison(found, "oip-binary", USUAL)
    assert compare(oip_binary(0.1)).right
    assert not compare(oip_binary(0.1000001)).right


def test_a_label_that_is_no_class_is_json() -> None:
    found = record({**LABELLED, "prediction": "unsure"}).expect
    assert isinstance(found, JsonExpectation)
    assert found.tolerances == {"/probabilities/*": 0.00075}


def test_what_the_model_states_as_its_outputs_are_tensors() -> None:
    tensors = (
        ExpectedTensor("score", "FP32", (1,), (0.1,)),
        ExpectedTensor("grid", "FP64", (1, 2, 2), (1.5, 2, 3.25, 4)),
        ExpectedTensor("count", "INT64", (1,), (7,)),
        ExpectedTensor("mood", "BYTES", (1,), ("glad",)),
    )
    assert record(VALUE, stated=STATED).expect == TensorsExpectation(tensors)
    assert record(VALUE, stated=STATED, form="as-is").expect == TensorsExpectation(tensors)


def test_an_answer_of_the_protocol_is_tensors() -> None:
    tensors = (
        ExpectedTensor("score", "FP32", (1,), (0.1,)),
        ExpectedTensor("mood", "BYTES", (1,), ("glad",)),
    )
    found = record(oip_binary(0.1), form="oip-binary", how=HowToCompare(rtol=0.01, atol=0.5)).expect
    assert found == TensorsExpectation(tensors, rtol=0.01, atol=0.5)


def test_other_json_is_json_with_a_tolerance_for_its_floats() -> None:
    value = {"id": 7, "boxes": [{"at": [200.5, 30.25], "sure": 0.5}, {"at": [1.0, 2.0], "sure": 0.25}]}
    found = record(value).expect
    assert found == JsonExpectation(value, {"/boxes/*/at/*": 0.21, "/boxes/*/sure": 0.0005})
    assert record(value, how=HowToCompare(tolerance=0.1)).expect == JsonExpectation(
        value, {"/boxes/*/at/*": 0.1, "/boxes/*/sure": 0.1}
    )
    kept = {"id": 7, "boxes": [{"at": None, "sure": 0.5}, {"at": None, "sure": 0.25}]}
    assert record(value, how=HowToCompare(ignore=("/boxes/*/at",))).expect == JsonExpectation(
        kept, {"/boxes/*/sure": 0.0005}, ("/boxes/*/at",)
    )


def test_other_content_is_bytes() -> None:
    assert record(b"<p>snow</p>").expect == BytesExpectation(text="<p>snow</p>")
    found = record(b"\xff\xfe" * 999).expect
    assert isinstance(found, BytesExpectation)
    assert found.sha256
    assert found.length == 1998


@pytest.mark.parametrize(
    ("how", "expect"),
    [
        (HowToCompare("bytes"), BytesExpectation(text=json.dumps(LABELLED))),
        (HowToCompare("json"), JsonExpectation(LABELLED, {"/probabilities/*": 0.00075})),
        (HowToCompare("top-k", k=1), TopKExpectation(1, ("snow",))),
        (HowToCompare("unchecked"), NoExpectation()),
        (HowToCompare(tolerance=0.2), LabelExpectation("snow", {"rain": 0.25, "snow": 0.75}, 0.2)),
    ],
)
def test_the_user_s_choice_comes_first(how: HowToCompare, expect: Expectation) -> None:
    assert record(LABELLED, how=how).expect == expect


@pytest.mark.parametrize(
    ("value", "way"), [(VALUE, "label"), (VALUE, "top-k"), (LABELLED, "tensors"), (b"<p>", "json")]
)
def test_a_comparator_that_fits_no_such_answer_is_one_line(value: Any, way: str) -> None:
    with pytest.raises(UsageError, match=f"the answer to r has nothing that {way} compares: choose another"):
        record(value, how=HowToCompare(way))


@pytest.mark.parametrize(
    ("value", "k", "says"),
    [
        (LABELLED, 3, "r has 2 classes, of which the best 3 are not a choice: choose a smaller --top"),
        (LABELLED, 2, "r has 2 classes, of which the best 2 are not a choice: choose a smaller --top"),
        ({"top_k": [{"class": "a"}]}, 2, "r ranks 1 classes, not 2: choose a smaller --top"),
        (
            {"prediction": "a", "probabilities": {"a": 0.4, "b": 0.3, "c": 0.3}},
            2,
            "r has a tie between its classes 2 and 3, .*: choose another --top, or --compare label",
        ),
        (
            {"top_k": [{"class": name, "probability": 1e-3} for name in "abc"]},
            2,
            "r has a tie between its classes 2 and 3, .*: choose another --top",
        ),
    ],
)
def test_the_best_classes_must_be_a_choice_that_the_answer_makes(value: Any, k: int, says: str) -> None:
    with pytest.raises(UsageError, match=f"the answer to {says}"):
        record(value, how=HowToCompare("top-k", k=k))


def test_no_answer_with_nan_is_right() -> None:
    with pytest.raises(UsageError, match="holds what tensors takes for no right answer, such as NaN"):
        record(oip_binary(math.nan), form="oip-binary")


def test_answers_within_the_tolerance_are_recorded_with_their_distance() -> None:
    near = {**LABELLED, "probabilities": {"rain": 0.26, "snow": 0.74}}
    assert record(LABELLED, near).off == pytest.approx(0.01)
    assert record(VALUE, {**VALUE, "score": 0.1001}, stated=STATED).off == pytest.approx(0.5, rel=1e-3)
    assert record(LABELLED).off == 0


@pytest.mark.parametrize("ignore", ["/*", "/a", "/a/*"])
def test_an_answer_of_which_everything_is_ignored_is_one_line(ignore: str) -> None:
    says = "the answer to r has nothing to compare beside what --ignore names: ignore less, or"
    with pytest.raises(UsageError, match=says):
        record({"a": [1, 2]}, how=HowToCompare(ignore=(ignore,)))


def test_the_elements_of_a_list_are_floats_if_one_of_them_is() -> None:
    for value in ([1, 0.5, 2], [2.0, 1, 0]):
        found = record(value).expect
        assert found == JsonExpectation(value, {"/*": 0.002})
        assert not comparison(found, "json", USUAL)(json.dumps([value[0], value[1] + 0.01, 2]).encode()).right


def test_a_whole_number_is_a_float_where_another_answer_of_the_set_has_one() -> None:
    """Writers of JSON, such as JavaScript's, write 1.0 as 1."""
    value, other = {"score": 1, "count": 3}, {"score": 0.25, "count": 4}
    assert record(value).expect == JsonExpectation(value)
    found = record(value, others=(other,)).expect
    assert found == JsonExpectation(value, {"/score": 0.001})
    compare = comparison(found, "json", USUAL)
    assert compare(b'{"score": 1.0005, "count": 3}').right
    assert not compare(b'{"score": 1.0005, "count": 4}').right
    sure, unsure = {"rain": 1, "snow": 0}, {"rain": 0.5, "snow": 0.5}
    assert record(sure, others=(unsure,)).expect == JsonExpectation(sure, {"/*": 0.001})


def test_the_tolerance_that_is_told_accepts_a_whole_number_beside_a_float() -> None:
    for first, second in (({"x": 1}, {"x": 1.25}), ({"x": 1.25}, {"x": 1}), ([1, 0.5], [2, 0.5])):
        with pytest.raises(InvalidRunError, match="accept it with --tolerance ") as error:
            record(first, second)
        told = float(str(error.value).rpartition(" ")[2])
        assert record(first, second, how=HowToCompare(tolerance=told))


SMALL = {"score": 2e-6, "grid": [[1e-5, -3e-5], [2e-5, 1e-5]], "count": 7, "mood": "glad"}


def test_small_numbers_have_a_small_tolerance() -> None:
    """The usual one would take any of them for any other."""
    found = record(SMALL, stated=STATED).expect
    assert isinstance(found, TensorsExpectation)
    assert [one.atol for one in found.tensors] == [2e-9, 3.1e-8, None, None]
    far = json.dumps({**SMALL, "grid": [[1e-5, -3e-5], [2e-5, 2e-5]]}).encode()
    for expect in (found, record(SMALL).expect):
        compare = comparison(expect, "json", USUAL)
        assert compare(json.dumps(SMALL).encode()).right
        assert not compare(far).right
    usual = record(SMALL, stated=STATED, how=HowToCompare(atol=1e-4)).expect
    assert isinstance(usual, TensorsExpectation)
    assert {one.atol for one in usual.tensors} == {None}
    assert comparison(usual, "json", USUAL)(far).right
    binary = record(oip_binary(3e-6), form="oip-binary").expect
    assert isinstance(binary, TensorsExpectation)
    assert [one.atol for one in binary.tensors] == [3.1e-9, None]


def test_a_number_near_nothing_is_judged_by_the_set_s_others() -> None:
    """A score of a millionth among scores of twenties has lost its digits already."""
    value, others = {**SMALL, "score": 1e-6}, ({**SMALL, "score": 20.5},)
    found = record(value, stated=STATED, others=others).expect
    assert isinstance(found, TensorsExpectation)
    assert [one.atol for one in found.tensors][:2] == [None, 3.1e-8]
    plain = record(value, others=others).expect
    assert isinstance(plain, JsonExpectation)
    assert plain.tolerances["/score"] == 1e-4
    zero = record([0.0]).expect
    assert zero == JsonExpectation([0.0], {"/*": 1e-4})


def test_flat_probabilities_have_a_tolerance_of_their_own() -> None:
    flat = {f"class {n}": 1e-3 + 1e-6 * n for n in range(1000)}
    answer = {"prediction": "class 999", "probabilities": flat}
    found = record(answer).expect
    assert isinstance(found, LabelExpectation)
    assert found.tolerance == 0.0002
    assert len(found.near) < 500
    turned = {"prediction": "class 0", "probabilities": dict(zip(flat, reversed(flat.values()), strict=True))}
    assert not comparison(found, "json", USUAL)(json.dumps(turned).encode()).right
    sure = record(answer, others=(LABELLED,)).expect
    assert isinstance(sure, LabelExpectation)
    assert sure.tolerance is None


FAR = {**LABELLED, "probabilities": {"rain": 0.2871, "snow": 0.7129}}
OTHER = {"prediction": "rain", "probabilities": {"rain": 0.75, "snow": 0.25}}
NO_WAY = "no tolerance accepts that: record a reference that answers alike, or leave it --compare unchecked"
OBJECT = {"id": "a1", "score": 2.5, "n": 3}


@pytest.mark.parametrize(
    ("first", "second", "stated", "says"),
    [
        (
            LABELLED,
            FAR,
            (),
            "a probability is 0.0371 off, at most 0.02 may be: accept it with --tolerance 0.038",
        ),
        (LABELLED, OTHER, (), f"differ, the second has another form or label: {NO_WAY}"),
        (
            {"prediction": "snow", "probabilities": {"rain": 0.48, "snow": 0.52}},
            {"prediction": "rain", "probabilities": {"rain": 0.53, "snow": 0.47}},
            (),
            "accept it with --tolerance 0.051",
        ),
        (LABELLED, b"oh", (), NO_WAY),
        (
            VALUE,
            {**VALUE, "grid": [[1.5, 2], [3.25, 5]]},
            STATED,
            r"grid\[3\] is 5 where 4 is right, 0.0041 off at most: accept it with --rtol 0.001 --atol 1$",
        ),
        (VALUE, {**VALUE, "count": 8}, STATED, rf"count\[0\] is 8: {NO_WAY}"),
        (VALUE, {**VALUE, "mood": "sad"}, STATED, rf"mood\[0\] is sad: {NO_WAY}"),
        (VALUE, {**VALUE, "grid": [[1.5], [3.25]]}, STATED, NO_WAY),
        (
            OBJECT,
            {**OBJECT, "score": 2.75},
            (),
            "/score is 2.75 where 2.5 .* accept it with --tolerance 0.25",
        ),
        (OBJECT, {**OBJECT, "id": "b2"}, (), "/id is 'b2' .* leave it out with --ignore /id"),
        (OBJECT, {**OBJECT, "n": 4}, (), "/n is 4 where 3 .* leave it out with --ignore /n"),
        (OBJECT, [1], (), NO_WAY),
        (b"<p>1</p>", b"<p>2</p>", (), f"its bytes are others: {NO_WAY}"),
    ],
)
def test_answers_that_differ_are_refused_with_what_would_accept_them(
    first: Any, second: Any, stated: tuple[StatedTensor, ...], says: str
) -> None:
    with pytest.raises(InvalidRunError, match=says) as told:
        record(first, second, stated=stated)
    assert str(told.value).startswith("the two answers to r differ, ")
    assert str(told.value).isprintable()


numbers = st.floats(-1e6, 1e6).filter(lambda one: one == 0 or abs(one) > 1e-6)


@given(numbers, numbers)
def test_the_tolerance_that_is_told_accepts(one: float, other: float) -> None:
    """Of JSON and of tensors, it is never a little too small, and by at most a tenth too large."""
    ways: list[tuple[Any, Any, tuple[StatedTensor, ...], str]] = [
        ({"x": one, "n": 1}, {"x": other, "n": 1}, (), "--tolerance "),
        ({"x": one}, {"x": other}, (StatedTensor("x", "FP64", (-1,)),), "--atol "),
    ]
    for first, second, stated, option in ways:
        try:
            record(first, second, stated=stated)
        except InvalidRunError as error:
            told = float(str(error).rpartition(option)[2])
            how = HowToCompare(tolerance=told, atol=told)
            accepted = record(first, second, stated=stated, how=how).expect
            assert comparison(accepted, "json", USUAL)(json.dumps(second).encode()).right
            assert told <= 1.11 * abs(one - other)


probabilities = st.lists(st.floats(0, 1), min_size=3, max_size=3)


@given(probabilities, st.lists(st.floats(-0.09, 0.09), min_size=3, max_size=3))
def test_the_tolerance_that_is_told_of_probabilities_accepts(one: list[float], away: list[float]) -> None:
    """Also where it makes another label the likeliest."""
    first, second = (
        {"prediction": max(found, key=found.__getitem__), "probabilities": found}
        for found in (
            dict(zip("abc", values, strict=True)) for values in (one, map(sum, zip(one, away, strict=True)))
        )
    )
    try:
        record(first, second)
    except InvalidRunError as error:
        told = float(str(error).rpartition("--tolerance ")[2])
        assert record(first, second, how=HowToCompare(tolerance=told))
        assert told <= 0.1


@given(st.lists(numbers | st.integers(-9, 9), min_size=2, max_size=4), st.data())
def test_the_tolerance_that_is_told_of_whole_numbers_among_floats_accepts(
    one: list[float], data: st.DataObject
) -> None:
    second = [value + data.draw(st.sampled_from([0, 1, 0.5])) for value in one]
    try:
        record({"x": one}, {"x": second})
    except InvalidRunError as error:
        if "--tolerance" in str(error):
            told = float(str(error).rpartition("--tolerance ")[2])
            assert record({"x": one}, {"x": second}, how=HowToCompare(tolerance=told))
        else:
            assert all(isinstance(value, int) for value in (*one, *second))


@given(st.floats(1e-12, 1e12))
def test_rounded_up_is_no_less_and_has_two_digits(value: float) -> None:
    found = rounded_up(value)
    assert value <= found <= 1.11 * value
    assert float(f"{found:.1e}") == found


def test_what_no_reader_takes_is_not_written(tmp_path: Path) -> None:
    request = {"name": "one", "json": {}, "expect": {"compare": "unchecked"}}
    (tmp_path / "manifest.json").write_text(json.dumps({"schema_version": 2, "requests": [request]}))
    before = (tmp_path / "manifest.json").read_bytes()
    manifest = read_manifest(tmp_path)
    for expect in (
        LabelExpectation("x" * 400, {"x" * 400: 1.0}),
        TensorsExpectation((ExpectedTensor("out", "FP32", (), (1.0,)),)),
    ):
        with pytest.raises(UsageError, match="one: "):
            rewrite(with_expectations(manifest, {"one": expect}), tmp_path)
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"manifest.json": before}
