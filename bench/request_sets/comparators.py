"""When an answer is right: the comparators (one literal table, COMPARATORS), each over several forms.

A comparator is made ready for one expectation, and then takes answers. NaN is never right.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

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
from bench.request_sets.json_differences import first_difference
from bench.request_sets.replies import FORMS, UNREADABLE, OutputTensor, Reply, Values, flat
from bench.request_sets.request_set import AS_IS, BYTES, DTYPES

Measure = Literal["probability", "tolerance"]
"""What a distance is: a probability, or the share of its own tolerance that an element is off."""


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """Whether an answer is right, how far off it is (None: it has no distance), and what is wrong with it.

    The complaint is a clause, empty if the answer is right or could not be read at all.
    """

    right: bool
    off: float | None = None
    complaint: str = ""


RIGHT, UNREAD = AnswerCheck(True), AnswerCheck(False)

# Python takes true and false for numbers, and a fraction is not a whole number
NUMBERS: dict[str, set[type]] = {"b": {bool}, "u": {int}, "i": {int}, "f": {int, float}}

# by so much two probabilities of one answer may differ because they were written as text
ROUNDING = 1e-6

Compare = Callable[[bytes], AnswerCheck]


@dataclass(frozen=True, slots=True)
class Comparator:
    """One way to say that an answer is right.

    `ready` takes an expectation, the form of the answers (a key of FORMS) and the tolerance of probabilities.
    `forms` are those in which an answer holds what is compared; `measure` says what its distance is, None if
    it has none. If it is `of_one_form`, what is right in one form of answer is wrong in another.
    """

    name: str
    ready: Callable[[Any, str, float], Compare]
    forms: tuple[str, ...] = tuple(FORMS)
    measure: Measure | None = None
    of_one_form: bool = False


def comparator_of(expect: Expectation) -> Comparator:
    """The comparator of an expectation."""
    return COMPARATORS[type(expect)]


def comparison(expect: Expectation, reply: str, tolerance: float) -> Compare:
    """A function from an answer's body to whether it is right; `reply` is its form, a key of FORMS.

    `tolerance` is that of probabilities, absolute, if the expectation has none of its own.
    """
    return comparator_of(expect).ready(expect, reply, tolerance)


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """A label and the probability of each class, as an answer has them."""

    label: str
    probabilities: Mapping[str, float]


def label_reader(classes: Mapping[str, object], reply: str) -> Callable[[bytes], LabelAnswer | None]:
    """A function from the body of an answer of this form, a key of FORMS, to the answer.

    It returns None if the body cannot be read, or has other classes. Each probability is a finite number;
    that they sum to 1 is not checked.
    """
    read, names = FORMS[reply], tuple(classes)

    def answer(body: bytes) -> LabelAnswer | None:
        try:
            label, answered = _prediction(read(body), names)
        except UNREADABLE:
            return None
        # Python takes true and false for numbers; an answer must hold numbers
        if (
            type(label) is not str
            or answered.keys() != classes.keys()
            or any(type(value) not in (int, float) for value in answered.values())
            or not all(map(math.isfinite, answered.values()))
        ):
            return None
        return LabelAnswer(label, answered)

    return answer


def _label(expect: LabelExpectation, reply: str, tolerance: float) -> Compare:
    allowed = tolerance if expect.tolerance is None else expect.tolerance
    labels, probabilities = {expect.label, *expect.near}, expect.probabilities
    read = label_reader(probabilities, reply)

    def compare(body: bytes) -> AnswerCheck:
        found = read(body)
        if found is None:
            return UNREAD
        answered_label, answered = found.label, found.probabilities
        most = max((abs(answered[name] - expected) for name, expected in probabilities.items()), default=0.0)
        if answered_label not in labels:
            return AnswerCheck(False, most, "")
        # one that is right only where the best is in doubt must be the best of its own answer
        if answered_label != expect.label and answered[answered_label] < max(answered.values()) - ROUNDING:
            return AnswerCheck(False, most, "its label is not the likeliest of its own probabilities")
        wrong = "" if most <= allowed else f"a probability is {most:.3g} off, at most {allowed:g} may be"
        return AnswerCheck(not wrong, most, wrong)

    return compare


def _tensors(expect: TensorsExpectation, reply: str, _tolerance: float) -> Compare:
    read = FORMS[reply]
    wanted = [(one, _expected_values(one)) for one in expect.tensors]

    def compare(body: bytes) -> AnswerCheck:
        try:
            answer = read(body)
            found = [_same_tensor(one, answer) for one, _ in wanted]
        except UNREADABLE:
            return UNREAD
        largest = 0.0
        for (one, values), got in zip(wanted, found, strict=True):
            if got is None:
                return AnswerCheck(False, None, f"the output {one.name} is missing or has another form")
            atol = expect.atol if one.atol is None else one.atol
            off, wrong = _excess(one, values, got, expect.rtol, atol)
            if wrong:
                return AnswerCheck(False, off, wrong)
            largest = max(largest, off)
        return AnswerCheck(True, largest)

    return compare


def _json(expect: JsonExpectation, reply: str, _tolerance: float) -> Compare:
    read, differs = FORMS[reply], first_difference(expect.value, expect.tolerances, expect.ignore)

    def compare(body: bytes) -> AnswerCheck:
        try:
            answer = read(body)
        except UNREADABLE:
            return UNREAD
        if answer.value is None and answer.outputs is not None:
            return UNREAD
        wrong = differs(answer.value)
        return AnswerCheck(not wrong, None, wrong)

    return compare


def _bytes(expect: BytesExpectation, _reply: str, _tolerance: float) -> Compare:
    if expect.sha256 is not None:
        digest = expect.sha256
        return lambda body: RIGHT if hashlib.sha256(body).hexdigest() == digest else OTHER_BYTES
    exact = base64.b64decode(expect.base64) if expect.base64 is not None else (expect.text or "").encode()
    return lambda body: RIGHT if body == exact else OTHER_BYTES


def _top_k(expect: TopKExpectation, reply: str, _tolerance: float) -> Compare:
    read, wanted = FORMS[reply], frozenset(expect.labels)

    def compare(body: bytes) -> AnswerCheck:
        try:
            best = _best(read(body).value, wanted)
        except UNREADABLE:
            return UNREAD
        return RIGHT if best else AnswerCheck(False, None, f"its {expect.k} best classes are others")

    return compare


def _unchecked(_expect: NoExpectation, _reply: str, _tolerance: float) -> Compare:
    return lambda _body: RIGHT


OTHER_BYTES = AnswerCheck(False, None, "its bytes are others")

WITH_VALUE = ("json", "msgpack", "oip-json", AS_IS)
WITH_NAMED_CLASSES = ("json", "msgpack", AS_IS)

COMPARATORS: dict[type, Comparator] = {
    LabelExpectation: Comparator("label", _label, measure="probability"),
    TensorsExpectation: Comparator("tensors", _tensors, measure="tolerance"),
    JsonExpectation: Comparator("json", _json, WITH_VALUE, of_one_form=True),
    BytesExpectation: Comparator("bytes", _bytes, of_one_form=True),
    # tensors of the protocol have no names of classes
    TopKExpectation: Comparator("top-k", _top_k, WITH_NAMED_CLASSES),
    NoExpectation: Comparator("unchecked", _unchecked),
}


def _prediction(answer: Reply, classes: Sequence[str]) -> tuple[Any, Mapping[Any, Any]]:
    """Label and probabilities as an answer has them; raises one of UNREADABLE."""
    if answer.outputs is not None:
        return _of_outputs(answer.outputs, classes)
    probabilities = answer.value["probabilities"]
    if not isinstance(probabilities, dict):
        raise ValueError("the probabilities are not a mapping")
    return answer.value["prediction"], probabilities


def _of_outputs(outputs: Sequence[OutputTensor], classes: Sequence[str]) -> tuple[str, Mapping[str, Any]]:
    """Read label and probabilities from one item's tensors; logits may come with them."""
    row = ("FP32", [1, len(classes)], len(classes))
    declared = {"label": (BYTES, [1], 1), "probabilities": row, "logits": row}
    by_name: dict[str, Sequence[Any]] = {}
    for output in outputs:
        values = output.values.tolist() if isinstance(output.values, np.ndarray) else output.values
        if output.name in by_name or declared[output.name] != (output.datatype, output.shape, len(values)):
            raise ValueError("an output comes twice, or has another datatype or shape than the contract says")
        by_name[output.name] = values
    if not all(math.isfinite(value) for value in by_name.get("logits", ())):
        raise ValueError("a logit is not a finite number")
    return by_name["label"][0].decode(), dict(zip(classes, by_name["probabilities"], strict=True))


def _expected_values(tensor: ExpectedTensor) -> Any:
    if tensor.datatype == BYTES:
        return [str(one).encode() for one in tensor.data]
    return np.array(tensor.data, _wide(tensor.datatype))


def _wide(datatype: str) -> "np.dtype[np.generic]":
    """The type in which decimal text of this datatype is compared: a float's cast would round or overflow."""
    dtype = DTYPES[datatype]
    return np.dtype(np.float64) if dtype.kind == "f" else dtype


def _same_tensor(expected: ExpectedTensor, answer: Reply) -> Any:
    """The answer's elements of this output, as `_expected_values` has them.

    None without such an output, or if it has another datatype or shape; raises one of UNREADABLE.
    """
    if answer.outputs is None:
        values: Values = _of_items(expected, answer.value)
        texts = True
    else:
        found = [one for one in answer.outputs if one.name == expected.name]
        if len(found) != 1 or found[0].datatype != expected.datatype:
            return None
        if list(found[0].shape) != list(expected.shape):
            return None
        values, texts = found[0].values, False
    if len(values) != len(expected.data):
        return None
    if expected.datatype == BYTES:
        return [one.encode() if texts and isinstance(one, str) else one for one in values]
    if isinstance(values, np.ndarray):
        return values
    kinds = NUMBERS[DTYPES[expected.datatype].kind]
    return np.array(values, _wide(expected.datatype)) if set(map(type, values)) <= kinds else None


def _of_items(expected: ExpectedTensor, value: Any) -> Sequence[Any]:
    """An output's elements in the answer of /predict/: an object for one item, a list of them for several."""
    items = value if isinstance(value, list) else [value]
    if len(items) != expected.shape[0]:
        raise ValueError("there are more or fewer items")
    return flat([item[expected.name] for item in items], expected.shape)


def _excess(expected: ExpectedTensor, values: Any, got: Any, rtol: float, atol: float) -> tuple[float, str]:
    """The largest share of its tolerance that an element is off, and a complaint if that is more than 1.

    Whole numbers, BOOL and BYTES have no tolerance: they are 0 off or infinitely far.
    """
    if expected.datatype == BYTES or DTYPES[expected.datatype].kind != "f":
        wrong = next((place for place, one in enumerate(values) if one != got[place]), None)
        return (0.0, "") if wrong is None else (math.inf, f"{expected.name}[{wrong}] is {_said(got[wrong])}")
    if not len(values):
        return 0.0, ""
    shares = _shares(values, got.astype(np.float64), rtol, atol)
    # the expected element is decimal text, and the nearest number of the datatype is as right
    shares[got == values.astype(DTYPES[expected.datatype])] = 0.0
    worst = int(np.argmax(shares))
    share = float(shares[worst])
    if share <= 1.0:
        return share, ""
    place = f"{expected.name}[{worst}]"
    allowed = atol + rtol * abs(float(values[worst]))
    away = f"{float(got[worst]):.6g} where {float(values[worst]):.6g} is right, {allowed:.3g} off at most"
    return share, f"{place} is {away}"


def _shares(values: NDArray[np.float64], got: NDArray[np.float64], rtol: float, atol: float) -> NDArray[Any]:
    """How far each element is off, as a share of what it may be; infinity for what is no finite number."""
    with np.errstate(all="ignore"):
        shares = np.abs(got - values) / (atol + rtol * np.abs(values))
    shares[got == values] = 0.0
    shares[~np.isfinite(shares) | ~np.isfinite(got)] = math.inf
    return shares


def _said(value: Any) -> str:
    return value.decode(errors="replace")[:40] if isinstance(value, bytes) else str(value)[:40]


def _best(value: Any, wanted: frozenset[str]) -> bool:
    """Whether these classes are the most probable; those that tie with the last of them may be out."""
    if "top_k" in value:
        return {str(one["class"]) for one in value["top_k"][: len(wanted)]} == wanted
    probabilities: Mapping[str, Any] = value["probabilities"]
    if any(type(one) not in (int, float) or not math.isfinite(one) for one in probabilities.values()):
        raise ValueError("a probability is not a finite number")
    if len(wanted) < len(probabilities) and min(probabilities.values()) == max(probabilities.values()):
        return False  # an answer that ranks nothing
    least = min(probabilities[name] for name in wanted)
    return all(one <= least for name, one in probabilities.items() if name not in wanted)
