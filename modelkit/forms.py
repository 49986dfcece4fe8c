"""The forms of one model: the graph, the program, the network; each computes the same function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelkit import ModelkitError
from modelkit.graph import ParityError, open_graph, runtime_words
from modelkit.signature import BYTES, Port, Tensors, check_shape


class ComputationError(ModelkitError):
    """A form does not compute given inputs; the message is the runtime's, in one line."""


@dataclass(frozen=True, slots=True)
class Form:
    """A model's form by the name of its file; `run` maps inputs to outputs, both in the manifest's order.

    `run` raises ComputationError if the form does not accept the inputs.
    """

    name: str
    run: Callable[[Tensors], list[NDArray[Any]]]


@dataclass(frozen=True, slots=True)
class Answered:
    """What the form of this name gives for each of the examples."""

    form: str
    examples: Sequence[Tensors]
    answers: Sequence[Tensors]


def answered(form: Form, examples: Sequence[Tensors]) -> Answered:
    """Compute the examples; raises ComputationError."""
    return Answered(form.name, examples, [form.run(values) for values in examples])


USUAL_ATOL = 1e-4


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far floats of forms may differ: a difference of at most atol + rtol * |value|.

    If `atol` is None, it is USUAL_ATOL, and of outputs that are all below 1 this share of the largest: the
    number itself would allow anything where outputs are small.
    """

    rtol: float
    atol: float | None = None

    def least(self, largest: float) -> float:
        """Return the difference that is allowed of a value of 0, if the largest value is `largest`."""
        if self.atol is not None:
            return self.atol
        return USUAL_ATOL * min(1.0, largest) if largest > 0 else USUAL_ATOL

    def __str__(self) -> str:
        scaled = ", or this share of the largest value below 1" if self.atol is None else ""
        return f"rtol {self.rtol:g}, atol {self.least(1.0):g}{scaled}"


def graph_form(name: str, graph: Path, as_it_is: bool = False) -> Form:
    """Return a graph's form; with `as_it_is` ONNX Runtime runs it without optimising it first."""
    session = open_graph(graph, as_it_is=as_it_is, name=name)
    inputs = [tensor.name for tensor in session.get_inputs()]
    outputs = [tensor.name for tensor in session.get_outputs()]

    def run(values: Tensors) -> list[NDArray[Any]]:
        try:
            found = session.run(outputs, dict(zip(inputs, values, strict=True)))
        # ONNX Runtime's exceptions share no base class but Exception
        except Exception as error:  # noqa: BLE001 - see the line above
            raise ComputationError(runtime_words(str(error))) from None
        return [np.asarray(value) for value in found]

    return Form(name, run)


def one_line(error: Exception) -> str:
    """Return an exception's message as one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def largest_differences(outputs: Sequence[Port], first: Answered, other: Form, tolerance: Tolerance) -> float:
    """Return the largest difference of a number between a form's answers and another form's.

    Raises ParityError that names the output if one differs by more than the tolerance: strings, integers and
    booleans must be equal, and what is not finite must be so in both. Raises ModelkitError if the first
    form's shapes are not those that the ports state.
    """
    names = first.form, other.name
    allowed = [_Allowed(tolerance, _largest(values)) for values in zip(*first.answers, strict=True)]
    largest = 0.0
    for values, answers in zip(first.examples, first.answers, strict=True):
        for compared in zip(outputs, answers, other.run(values), allowed, strict=True):
            largest = max(largest, _difference(*compared, names))
    return largest


def blind_spots(outputs: Sequence[Port], first: Answered) -> list[str]:
    """Return a line for each output of which examples say less than they seem to."""
    found = []
    for port, values in zip(outputs, zip(*first.answers, strict=True), strict=True):
        odd = sum(value.dtype.kind == "f" and not np.isfinite(value).all() for value in values)
        if not any(value.size for value in values):
            found.append(f"{port.name} is empty in every example, so nothing of it was compared")
        elif odd:
            found.append(f"{port.name} holds NaN or infinity in {odd} of {len(values)} examples")
    return found


@dataclass(frozen=True, slots=True)
class _Allowed:
    """How far an output's values may differ, the largest of which is `largest`."""

    tolerance: Tolerance
    largest: float

    def of(self, exact: NDArray[np.float64]) -> NDArray[np.float64]:
        sizes = np.abs(np.nan_to_num(exact, posinf=0, neginf=0))
        return self.tolerance.least(self.largest) + self.tolerance.rtol * sizes

    def __str__(self) -> str:
        return f"rtol {self.tolerance.rtol:g}, atol {self.tolerance.least(self.largest):.3g}"


def _largest(values: Sequence[NDArray[Any]]) -> float:
    """Return the largest size of a finite number of an output, 0 if it has none."""
    sizes = [
        np.abs(value[np.isfinite(value)], dtype=np.float64) for value in values if value.dtype.kind == "f"
    ]
    return max((float(size.max(initial=0.0)) for size in sizes), default=0.0)


def _difference(
    port: Port, expected: NDArray[Any], actual: NDArray[Any], allowed: _Allowed, forms: tuple[str, str]
) -> float:
    first, other = forms
    check_shape(port, expected)
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        here, there = (f"{value.dtype} {list(value.shape)}" for value in (expected, actual))
        raise ParityError(f"{port.name} is {here} in {first} but {there} in {other}: export the model again")
    if port.datatype == BYTES:
        if (expected != actual).any():
            raise ParityError(f"{port.name} has other strings in {other} than in {first}: export again")
        return 0.0
    if expected.dtype.kind != "f":
        return _unequal(port, expected, actual, forms)
    exact, found = expected.astype(np.float64), actual.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where((exact == found) | (np.isnan(exact) & np.isnan(found)), 0.0, np.abs(exact - found))
    # "not at most" rather than "more than", because NaN must be reported too
    wrong = ~(apart <= allowed.of(exact))
    if wrong.any():
        # NaN where one form alone gives it
        worst = float(np.where(wrong, apart, 0.0).max())
        problem = (
            f"{port.name} differs between {first} and {other} by {worst:.3g}, more than allowed ({allowed})"
        )
        remedy = "export again, or allow more with --rtol and --atol"
        raise ParityError(f"{problem}, of values up to {allowed.largest:.3g}: {remedy}")
    return float(apart.max(initial=0.0))


def _unequal(port: Port, expected: NDArray[Any], actual: NDArray[Any], forms: tuple[str, str]) -> float:
    """Return 0 for equal integers or booleans; raises ParityError for others."""
    apart = expected != actual
    if apart.any():
        where = tuple(int(place) for place in np.argwhere(apart)[0])
        values = f"{expected[where]} and {actual[where]}"
        problem = (
            f"{port.name} is {values} at {list(where)} in {forms[0]} and {forms[1]}, and integers are exact"
        )
        raise ParityError(f"{problem}: export again, or add the model without this output")
    return 0.0
