"""A set whose check takes the answer to another request is told, with what would tell its answers apart."""

import hashlib
import re
from collections.abc import Callable, Sequence

import pytest

from bench.measure.payloads import payload_sets
from bench.model import Payload
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
from bench.request_sets.blindness import MOST_COMPARED, blind_classes
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import classes_of
from tests.bench.conftest import REPOSITORY

USUAL = 0.02


def payloads(*expect: Expectation, name: str = "small") -> list[Payload]:
    """A request for each expectation, each with another body."""
    return [Payload(f"{name}-{n}", name, "json", "x/y", b"%d" % n, one) for n, one in enumerate(expect)]


def label(rain: float, tolerance: float | None = None) -> Expectation:
    return LabelExpectation("rain", {"rain": rain, "snow": 1 - rain}, tolerance)


def tensors(value: float, rtol: float = 1e-3, atol: float = 1e-4, own: float | None = None) -> Expectation:
    return TensorsExpectation((ExpectedTensor("out", "FP32", (1,), (value,), own),), rtol, atol)


def json_number(value: float, tolerance: float = 1e-4) -> Expectation:
    return JsonExpectation({"id": value, "score": value}, {"/score": tolerance}, ("/id",))


def sha(text: str) -> Expectation:
    return BytesExpectation(sha256=hashlib.sha256(text.encode()).hexdigest())


BLIND: dict[str, Sequence[Expectation]] = {
    "label": [label(0.6), label(0.605), label(0.61)],
    "its own tolerance": [label(0.6, 0.5), label(0.7, 0.5)],
    "tensors": [tensors(1e-5), tensors(2e-5), tensors(-3e-5)],
    "a tensor's own tolerance": [tensors(1, own=2.0), tensors(2, own=2.0)],
    "json": [json_number(1e-5), json_number(2e-5)],
    "alike": [tensors(1.0), tensors(1.0)],
    "text": [BytesExpectation(text="ok"), BytesExpectation(text="ok")],
    "base64": [BytesExpectation(base64="AA=="), BytesExpectation(base64="AA==")],
    "digest": [sha("a"), sha("a")],
    "top-k": [TopKExpectation(2, ("a", "b")), TopKExpectation(2, ("b", "a"))],
}
SEEING: dict[str, Sequence[Expectation]] = {
    "label": [label(0.6), label(0.7), label(0.8)],
    "tensors": [tensors(1e-5, atol=1e-8), tensors(2e-5, atol=1e-8)],
    "a tensor's own tolerance": [tensors(1e-5, own=1e-8), tensors(2e-5, own=1e-8)],
    "json": [json_number(0.1), json_number(0.2)],
    "text": [BytesExpectation(text="a"), BytesExpectation(text="b")],
    "digest": [sha("a"), sha("b")],
    "top-k": [TopKExpectation(2, ("a", "b")), TopKExpectation(2, ("a", "c"))],
    "of several kinds": [json_number(1), tensors(1), label(0.5), BytesExpectation(text="1"), sha("1")],
    "unchecked": [NoExpectation(), NoExpectation()],
    "a single one": [label(0.6)],
    "half of the pairs alike": [label(0.1), label(0.11), label(0.6), label(0.8)],
}


@pytest.mark.parametrize("name", BLIND)
def test_answers_that_are_right_for_others_are_told(name: str) -> None:
    (found,) = blind_classes(payloads(*BLIND[name]), USUAL)
    assert found.share == 1.0
    assert found.told == (
        "the answers to class small are not told apart: in 100% of its pairs of requests the answer to the "
        "one is right for the other too"
    )
    assert found.remedy


@pytest.mark.parametrize("name", SEEING)
def test_answers_that_are_told_apart_are_not(name: str) -> None:
    assert blind_classes(payloads(*SEEING[name]), USUAL) == ()


@pytest.mark.parametrize(
    ("values", "make"),
    [
        ([0.6, 0.605, 0.612, 0.6], label),
        ([1e-5, 2e-5, -3e-5, 5e-5], tensors),
        ([1e-5, 2.5e-5, 7e-5], json_number),
    ],
)
def test_the_tolerance_that_is_told_tells_them_apart(
    values: Sequence[float], make: Callable[..., Expectation]
) -> None:
    (found,) = blind_classes(payloads(*map(make, values)), USUAL)
    command, more = re.findall(r"`python -m bench requests record (.*)`, or (.*)", found.remedy)[0]
    assert more == "make requests whose answers differ more"
    numbers = [float(word) for word in command.split() if not word.startswith("--")]
    assert blind_classes(payloads(*(make(one, *numbers) for one in values)), USUAL) == ()


def test_answers_that_are_the_same_need_other_requests() -> None:
    (found,) = blind_classes(payloads(*BLIND["alike"]), USUAL)
    assert found.remedy == "their right answers are the same: make requests whose answers differ"


def test_each_class_is_judged_by_itself() -> None:
    """Two sizes are told apart, and hide nothing."""
    seeing = payloads(*SEEING["label"], name="large")
    assert [one.name for one in blind_classes([*payloads(*BLIND["tensors"]), *seeing], USUAL)] == ["small"]
    assert blind_classes(seeing, USUAL) == ()
    assert [one.name for one in blind_classes(seeing, 0.5)] == ["large"]


def test_the_same_request_twice_has_one_answer() -> None:
    one, other = payloads(label(0.6), label(0.6))
    same = Payload("again", "small", "json", "x/y", one.body, one.expect)
    assert blind_classes([one, same], USUAL) == ()
    assert blind_classes([one, same, other], USUAL)


def test_a_large_class_is_judged_by_some_of_its_requests() -> None:
    many = payloads(*[label(0.6)] * (50 * MOST_COMPARED), label(0.9))
    assert blind_classes(many, USUAL)


def test_the_images_of_the_repository_are_told_apart() -> None:
    images = read_request_set(REPOSITORY / "images")
    for (name, _), sent in payload_sets(images.requests, classes_of(images.requests), ["raw"]).items():
        assert blind_classes(sent, USUAL) == (), name
