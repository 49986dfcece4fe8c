"""Whether a set's check tells answers apart: what takes the answer to another request checks nothing."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

import msgspec
import orjson

from bench.model import Payload
from bench.model.expectations import (
    BytesExpectation,
    Expectation,
    JsonExpectation,
    LabelExpectation,
    NoExpectation,
    TensorsExpectation,
    TopKExpectation,
)
from bench.request_sets.comparators import AnswerCheck, comparison
from bench.request_sets.json_tolerances import compared

# of a class, so that a set of any size is judged in a moment
MOST_COMPARED = 12
# of a class's pairs of requests: more of them accept each other's answers than not
MOST_ALIKE = 0.5
# a tolerance of this share of the distance between two answers leaves no doubt which of them an answer is
CLEAR = 0.1

RECORD = "`python -m bench requests record"


@dataclass(frozen=True, slots=True)
class BlindClass:
    """A class of requests whose check takes the answers to others of its requests for right.

    `share` is the part of its pairs of requests in which it does; `remedy` says what would tell them apart.
    """

    name: str
    share: float
    remedy: str

    @property
    def told(self) -> str:
        """What is wrong, in a clause."""
        return (
            f"the answers to class {self.name} are not told apart: in {100 * self.share:.0f}% of its pairs "
            "of requests the answer to the one is right for the other too"
        )


def blind_classes(payloads: Iterable[Payload], tolerance: float) -> tuple[BlindClass, ...]:
    """The classes of these payloads whose check tells no answers apart, without those that check nothing.

    `tolerance` is that of probabilities which have none of their own. A class with a single request, or with
    one that comes several times, has nothing to tell apart.
    """
    found: dict[str, list[Payload]] = {}
    for one in payloads:
        found.setdefault(one.mixed_from or one.payload_class, []).append(one)
    judged = (_judged(name, ones, tolerance) for name, ones in found.items())
    return tuple(one for one in judged if one is not None)


def _judged(name: str, payloads: Sequence[Payload], tolerance: float) -> BlindClass | None:
    some = payloads[:: -(-len(payloads) // MOST_COMPARED)]
    compare = [comparison(one.expect, _form(one.expect), tolerance) for one in some]
    answers = [_answer(one.expect) for one in some]
    pairs = [
        (mine, other) for mine, other in permutations(range(len(some)), 2) if _differ(some[mine], some[other])
    ]
    alike = list[tuple[Expectation, float]]()
    for mine, other in pairs:
        expect, theirs, answer = some[mine].expect, some[other].expect, answers[other]
        if type(expect) is type(theirs):
            found = compare[mine](answer) if answer is not None else AnswerCheck(expect == theirs)
            if found.right:
                alike.append((expect, _distance(expect, theirs, found)))
    share = len(alike) / len(pairs) if pairs else 0.0
    return BlindClass(name, share, _remedy(alike)) if share > MOST_ALIKE else None


def _differ(one: Payload, other: Payload) -> bool:
    """Whether two requests are checked, and are not the same request twice."""
    if NoExpectation in (type(one.expect), type(other.expect)):
        return False
    return (one.body, one.path, one.headers) != (other.body, other.path, other.headers)


def _form(expect: Expectation) -> str:
    return "oip-json" if isinstance(expect, TensorsExpectation) else "json"


def _answer(expect: Expectation) -> bytes | None:
    """A right answer, in the form that `_form` says; None if only its digest is known."""
    match expect:
        case LabelExpectation():
            return orjson.dumps({"prediction": expect.label, "probabilities": expect.probabilities})
        case TensorsExpectation():
            fields = ("name", "datatype", "shape", "data")
            return orjson.dumps(
                {"outputs": [{name: getattr(one, name) for name in fields} for one in expect.tensors]}
            )
        case JsonExpectation():
            return msgspec.json.encode(expect.value)
        case BytesExpectation(text=text) if text is not None:
            return text.encode()
        case TopKExpectation():
            return orjson.dumps({"top_k": [{"class": label} for label in expect.labels]})
    return None


def _distance(expect: Expectation, other: Expectation, found: AnswerCheck) -> float:
    """How far two answers are apart, in the unit of their comparator; 0 if it has none."""
    if isinstance(expect, JsonExpectation) and isinstance(other, JsonExpectation):
        apart = compared(expect.value, other.value, expect.ignore, expect.tolerances)
        return max((off or 0.0 for _, off in apart), default=0.0)
    return found.off or 0.0


def _remedy(alike: Sequence[tuple[Expectation, float]]) -> str:
    """What would tell apart at least half of the pairs that are taken for the same: a smaller tolerance."""
    away = CLEAR * statistics.median(distance for _, distance in alike)
    if not away:
        return "their right answers are the same: make requests whose answers differ"
    expect = alike[0][0]
    if isinstance(expect, TensorsExpectation):
        atol = min(expect.atol if one.atol is None else one.atol for one in expect.tensors)
        options = f"--rtol {away * expect.rtol:.1g} --atol {away * atol:.1g}"
    else:
        options = f"--tolerance {away:.1g}"
    return f"record them anew with {RECORD} {options}`, or make requests whose answers differ more"
