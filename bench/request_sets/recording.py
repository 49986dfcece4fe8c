"""What must come back, made of a reference's two answers to each request, by the comparator that fits."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from bench.errors import InvalidRunError, UsageError
from bench.model import USUAL_TOLERANCE
from bench.model.expectations import (
    USUAL_ATOL,
    USUAL_RTOL,
    BytesExpectation,
    Expectation,
    ExpectedTensor,
    JsonExpectation,
    LabelExpectation,
    NoExpectation,
    TensorsExpectation,
    TopKExpectation,
)
from bench.model.how_to_compare import HowToCompare
from bench.request_sets.comparators import ROUNDING, comparison
from bench.request_sets.json_differences import ANY, Path, compares_anything, pointer_parts, without
from bench.request_sets.json_tolerances import float_places, plain, rounded_up, scaled_atol, tolerances
from bench.request_sets.replies import FORMS, UNREADABLE, OutputTensor, Reply, flat
from bench.request_sets.request_set import BYTES, DTYPES
from bench.request_sets.stated_model import StatedTensor
from bench.request_sets.wider import remedy

# an answer's bytes up to here stand in the manifest, of a longer one its digest does
MOST_INLINE_BYTES = 1024
# of the largest probability of a set: more would take flat probabilities for any others
MOST_OF_PROBABILITY = 0.1


class UnfitAnswerError(ValueError):
    """What an answer has, or lacks, so that nothing can be compared with it as was asked, with the remedy."""


@dataclass(frozen=True, slots=True)
class ReferenceAnswer:
    """An answer's body, and its form as a reader takes it: a key of FORMS."""

    body: bytes
    form: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What must come back, and how far the second answer was from the first, None if that has no measure."""

    expect: Expectation
    off: float | None


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer as it was read, and what the model states of its outputs: nothing, if it states nothing.

    `places` are those of floats in all answers, with the largest number there.
    """

    body: bytes
    reply: Reply | None
    stated: Sequence[StatedTensor]
    how: HowToCompare
    places: Mapping[Path, float]

    def largest(self, name: str) -> float:
        """The largest number that an answer has at or below this name; 0 if it has no float there."""
        found = (most for path, most in self.places.items() if name in path[:2] and path[0] in (name, ANY))
        return max(found, default=0.0)


def recorded(
    name: str,
    answers: tuple[ReferenceAnswer, ReferenceAnswer],
    stated: Sequence[StatedTensor],
    how: HowToCompare,
    tolerance: float,
    places: Mapping[Path, float],
) -> Recorded:
    """What must come back for the request of this name, from the reference's two answers.

    `tolerance` is that of probabilities which have none of their own; `places` are those of the floats of the
    whole set's answers, as `places_of` finds them. Raises UsageError for a comparator that fits no such
    answer, InvalidRunError if the answers differ by more than is tolerated.
    """
    first, second = answers
    answered = _Answered(first.body, _read(first), stated, how, places)
    chosen = how.compare or fitting(answered.reply, stated)
    try:
        expect = MAKERS[chosen](answered)
    except UnfitAnswerError as error:
        raise UsageError(f"the answer to {name} {error}") from None
    except UNREADABLE:
        raise UsageError(
            f"the answer to {name} has nothing that {chosen} compares: choose another --compare"
        ) from None
    compare = comparison(expect, first.form, tolerance)
    alone, again = compare(first.body), compare(second.body)
    if not alone.right:
        raise UsageError(
            f"the answer to {name} holds what {chosen} takes for no right answer, such as NaN: choose "
            "another --compare"
        )
    if not again.right:
        what = again.complaint or "the second has another form or label"
        raise InvalidRunError(
            f"the two answers to {name} differ, {what}: {remedy(expect, answered.reply, _read(second))}"
        )
    return Recorded(expect, again.off)


def _read(answer: ReferenceAnswer) -> Reply | None:
    """The answer as its form has it; None if it is not of that form."""
    try:
        return FORMS[answer.form](answer.body)
    except UNREADABLE:
        return None


def places_of(answers: Iterable[ReferenceAnswer]) -> dict[Path, float]:
    """The places of floats in these answers, each with the largest number there, by which it is scaled."""
    return float_places(value for answer in answers for value in _values(_read(answer)))


def _values(reply: Reply | None) -> Iterator[Any]:
    """What an answer holds, as JSON; of a tensor of floats its largest number is enough."""
    if reply is None:
        return
    yield plain(reply.value)
    for one in reply.outputs or ():
        dtype = DTYPES.get(one.datatype)
        if dtype is not None and dtype.kind == "f":
            numbers = np.abs(np.asarray(one.values, np.float64))
            yield {one.name: [float(np.max(numbers, initial=0.0, where=np.isfinite(numbers)))]}


def fitting(reply: Reply | None, stated: Sequence[StatedTensor]) -> str:
    """The comparator that fits an answer."""
    if reply is None:
        return "bytes"
    if reply.outputs is not None:
        return "tensors"
    value = reply.value
    if isinstance(value, dict):
        probabilities = value.get("probabilities")
        label = value.get("prediction")
        if isinstance(probabilities, dict) and isinstance(label, str) and label in probabilities:
            return "label"
        if stated and value.keys() == {one.name for one in stated}:
            return "tensors"
    return "json"


def _label(answered: _Answered) -> Expectation:
    value, tolerance = _value(answered), answered.how.tolerance
    label, probabilities = value["prediction"], dict(value["probabilities"])
    scaled = MOST_OF_PROBABILITY * answered.largest("probabilities")
    if tolerance is None and 0 < scaled < USUAL_TOLERANCE:
        tolerance = rounded_up(scaled)
    # the best may lose, and another gain, what is tolerated
    least = max(probabilities.values()) - 2 * (USUAL_TOLERANCE if tolerance is None else tolerance)
    near = tuple(name for name, value in probabilities.items() if name != label and value >= least)
    return LabelExpectation(label, probabilities, tolerance=tolerance, near=near)


def _tensors(answered: _Answered) -> Expectation:
    reply, how = answered.reply, answered.how
    if reply is not None and reply.outputs is not None:
        tensors = [_of_output(one) for one in reply.outputs]
    else:
        value = _value(answered)
        tensors = [_of_item(one, value[one.name]) for one in answered.stated]
    if not tensors:
        raise ValueError("there are no outputs")
    rtol = USUAL_RTOL if how.rtol is None else how.rtol
    atol = USUAL_ATOL if how.atol is None else how.atol
    if how.atol is None:
        tensors = [_scaled(one, answered.largest(one.name)) for one in tensors]
    return TensorsExpectation(tuple(tensors), rtol=rtol, atol=atol)


def _scaled(tensor: ExpectedTensor, largest: float) -> ExpectedTensor:
    """The tensor with a tolerance of its own if all its numbers are so small that the usual one takes any."""
    atol = scaled_atol(largest)
    return tensor if atol == USUAL_ATOL else msgspec.structs.replace(tensor, atol=rounded_up(atol))


def _of_output(output: OutputTensor) -> ExpectedTensor:
    values: list[Any] = list(output.values)
    if output.datatype == BYTES:
        values = [one.decode() for one in values]
    else:
        values = _few_digits(np.asarray(output.values, DTYPES[output.datatype]))
    return ExpectedTensor(output.name, output.datatype, tuple(output.shape), tuple(values))


def _few_digits(values: "np.ndarray[Any, Any]") -> list[Any]:
    """The values as Python's; a short float has the fewest digits that tell it from its neighbours."""
    return [float(str(value)) for value in values] if values.dtype.kind == "f" else values.tolist()


def _of_item(stated: StatedTensor, value: Any) -> ExpectedTensor:
    """An output of /predict/, which is that of one item: its shape is that of the lists in it."""
    shape, level = [1], value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    values = flat([value], shape)
    if stated.datatype != BYTES:
        values = _few_digits(np.array(values, DTYPES[stated.datatype]))
    elif not all(isinstance(one, str) for one in values):
        raise ValueError("BYTES that are not text")
    return ExpectedTensor(stated.name, stated.datatype, tuple(shape), tuple(values))


def _json(answered: _Answered) -> Expectation:
    how = answered.how
    ignored = [pointer_parts(one) for one in how.ignore]
    # what does not count is not kept either: it may be a secret that the service was sent
    value = without(plain(_value(answered)), ignored)
    if not compares_anything(value, ignored):
        raise UnfitAnswerError(
            "has nothing to compare beside what --ignore names: ignore less, or leave it --compare unchecked"
        )
    return JsonExpectation(value, tolerances(value, how.tolerance, how.ignore, answered.places), how.ignore)


def _bytes(answered: _Answered) -> Expectation:
    body = answered.body
    if len(body) <= MOST_INLINE_BYTES:
        try:
            return BytesExpectation(text=body.decode())
        except UnicodeDecodeError:
            pass
    return BytesExpectation(sha256=hashlib.sha256(body).hexdigest(), length=len(body))


def _top_k(answered: _Answered) -> Expectation:
    value, k = _value(answered), answered.how.k
    if "top_k" in value:
        ranked = [(str(one["class"]), one.get("probability")) for one in value["top_k"]]
    else:
        probabilities = value["probabilities"]
        ranked = sorted(probabilities.items(), key=lambda each: each[1], reverse=True)
        if len(ranked) <= k:
            raise UnfitAnswerError(
                f"has {len(ranked)} classes, of which the best {k} are not a choice: choose a smaller --top"
            )
    if len(ranked) < k:
        raise UnfitAnswerError(f"ranks {len(ranked)} classes, not {k}: choose a smaller --top")
    last, after = (probability for _, probability in (*ranked, ("", None))[k - 1 : k + 1])
    if last is not None and after is not None and last - after <= ROUNDING:
        raise UnfitAnswerError(
            f"has a tie between its classes {k} and {k + 1}, of which either may be among the best: choose "
            "another --top, or --compare label"
        )
    return TopKExpectation(k, tuple(label for label, _ in ranked[:k]))


def _unchecked(_answered: _Answered) -> Expectation:
    return NoExpectation()


def _value(answered: _Answered) -> Any:
    """The JSON or msgpack of an answer; raises ValueError if it is of another kind."""
    if answered.reply is None or (answered.reply.value is None and answered.reply.outputs is not None):
        raise ValueError("the answer has no value")
    return answered.reply.value


MAKERS: dict[str, Callable[[_Answered], Expectation]] = {
    "label": _label,
    "tensors": _tensors,
    "json": _json,
    "bytes": _bytes,
    "top-k": _top_k,
    "unchecked": _unchecked,
}
