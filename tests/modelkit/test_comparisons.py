"""How forms are compared: what may differ and by how much, and of what the examples say little."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from modelkit.forms import Answered, Form, Tolerance, answered, blind_spots, largest_differences
from modelkit.graph import ParityError
from modelkit.signature import DATATYPES, Port
from tests.modelkit.adding import add, manifest
from tests.modelkit.graphs import node, random, save, tensor

USUAL = Tolerance(rtol=1e-3)


def compared(
    first: object, other: object, datatype: str = "FP32", tolerance: Tolerance = USUAL, dims: int = 1
) -> float:
    """Compare one answer of two forms."""
    before, after = (np.asarray(value, DATATYPES[datatype]) for value in (first, other))
    port = Port("y", datatype, tuple("abcd"[:dims]))
    given = Answered("first", [[]], [[before]])
    return largest_differences([port], given, Form("other", lambda _: [after]), tolerance)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ([1.0, 2.01], r"y differs between first and other by 0\.01, more than allowed .*--rtol and --atol"),
        ([1.0, np.nan], "y differs between first and other by nan, more than allowed"),
        ([1.0, np.inf], "y differs between first and other by inf, more than allowed"),
        ([1.0], r"y is float32 \[2\] in first but float32 \[1\] in other: export"),
    ],
)
def test_forms_that_differ_are_refused(other: list[float], message: str) -> None:
    with pytest.raises(ParityError, match=message):
        compared([1.0, 2.0], other)


def test_the_largest_difference_within_the_tolerance_is_told() -> None:
    first, other = [np.inf, np.nan, 2.0], [np.inf, np.nan, 2.001]
    assert compared(first, other, "FP64") == pytest.approx(0.001)


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-30])
@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_small_outputs_have_a_small_tolerance(size: float, datatype: str) -> None:
    """A fixed difference of 0.0001 would let any two of these agree."""
    first = np.asarray([0.5, -1.0, 0.0]) * size
    assert compared(first, first * 1.0005, datatype) > 0
    for wrong in (first[::-1], first * 1.01, first + size * 1e-3, np.zeros(3)):
        with pytest.raises(ParityError, match=r"more than allowed .*, of values up to"):
            compared(first, wrong, datatype)


def test_a_tolerance_that_is_given_is_taken_as_it_is() -> None:
    assert compared([1e-6], [2e-6], tolerance=Tolerance(0, 1e-5)) == pytest.approx(1e-6)


def test_the_largest_value_counts_over_all_examples() -> None:
    """One example whose answers are all small asks for no more than the others."""
    small, usual = np.asarray([1e-7], np.float32), np.asarray([1.0], np.float32)
    given = Answered("first", [[small], [usual]], [[small], [usual]])
    other = Form("other", lambda values: [values[0] + np.float32(1e-6)])
    assert largest_differences([Port("y", "FP32", ("n",))], given, other, USUAL) == pytest.approx(
        1e-6, rel=0.1
    )


@pytest.mark.parametrize(
    ("datatype", "values"), [("INT64", [2**40, 2**40 + 1]), ("UINT8", [200, 201]), ("BOOL", [True, False])]
)
def test_integers_and_booleans_must_be_equal(datatype: str, values: list[int]) -> None:
    assert compared(values, values, datatype) == 0
    with pytest.raises(ParityError, match=rf"y is {values[0]} and {values[1]} at \[0\] in first and other"):
        compared(values[:1], values[1:], datatype, Tolerance(rtol=1, atol=1))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([[1.0], [np.nan]], ["y holds NaN or infinity in 1 of 2 examples"]),
        ([[np.inf], [-np.inf]], ["y holds NaN or infinity in 2 of 2 examples"]),
        ([[], []], ["y is empty in every example, so nothing of it was compared"]),
        ([[], [1.0]], []),
    ],
)
def test_what_examples_do_not_show_is_said(values: list[list[float]], says: list[str]) -> None:
    left = [np.asarray(value, np.float32) for value in values]
    form = Form("first", lambda given: [given[0]])
    assert blind_spots([Port("y", "FP32", ("n",))], answered(form, [[value] for value in left])) == says


def test_the_command_says_what_its_examples_do_not_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = save(
        tmp_path / "root.onnx",
        [node("Sqrt", ["x"], ["y"])],
        [tensor("x", TensorProto.FLOAT, ["n", 4])],
        [tensor("y", TensorProto.FLOAT, ["n", 4])],
    )
    status, _ = add(file)
    said = capsys.readouterr().out
    assert (
        status,
        "y holds NaN or infinity in 9 of 9 examples: give examples of the model's own" in said,
    ) == (0, True)


def test_a_thousand_flat_classes_agree_within_a_thousandth_of_a_probability(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every probability is about 0.001, so a difference of 0.0001 is a tenth of it."""
    file = save(
        tmp_path / "flat.onnx",
        [node("MatMul", ["x", "w"], ["z"]), node("Softmax", ["z"], ["y"], axis=1)],
        [tensor("x", TensorProto.FLOAT, ["n", 8])],
        [tensor("y", TensorProto.FLOAT, ["n", 1000])],
        w=random(8, 1000) * np.float32(1e-3),
    )
    status, place = add(file)
    assert (status, manifest(place)["batch"]) == (0, "any")
    assert "atol 0.0001, or this share of the largest value below 1" in capsys.readouterr().out
    flat = np.full(1000, 1e-3, np.float32)
    with pytest.raises(ParityError, match=r"of values up to 0\.001"):
        compared(flat, flat + np.float32(9e-5) * (-1) ** np.arange(1000))


def test_outputs_that_are_all_zero_tell_nothing_of_their_size() -> None:
    assert compared([0.0, 0.0], [1e-30, 0.0]) == pytest.approx(1e-30)
    with pytest.raises(ParityError):
        compared([0.0, 0.0], [1e-3, 0.0])
