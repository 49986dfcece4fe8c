"""An answer is right only with the right label and every probability within the tolerance."""

import json

import pytest

from bench.load.answers import AnswerChecker, answer_is_right
from bench.load.plan import Expected

PROBABILITIES = {"rain": 0.7, "snow": 0.3}


def body(label: str = "rain", **probabilities: object) -> bytes:
    return json.dumps({"prediction": label, "probabilities": {**PROBABILITIES, **probabilities}}).encode()


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (body(), True),
        (body(rain=0.715, snow=0.285), True),
        (body(rain=0.73, snow=0.27), False),
        (body("snow"), False),
        (body(hail=0.0), False),
        (body(rain="much"), False),
        (body(rain=float("nan")), False),
        (b'{"prediction": "rain"}', False),
        (b'{"prediction": "rain", "probabilities": {"rain": 0.7}}', False),
        (b'{"prediction": "rain", "probabilities": [0.7, 0.3]}', False),
        (b"[]", False),
        (b"not json", False),
        (b"\xff\xfe", False),
        (b"", False),
    ],
)
def test_an_answer_is_judged_by_label_and_probabilities(answer: bytes, right: bool) -> None:
    assert answer_is_right(answer, "rain", PROBABILITIES, 0.02) is right


def test_bytes_that_were_right_for_one_payload_are_not_right_for_another() -> None:
    expected = [
        Expected(0, 1, "application/json", "rain", PROBABILITIES),
        Expected(1, 1, "application/json", "snow", {"rain": 0.3, "snow": 0.7}),
    ]
    checker = AnswerChecker(expected, 0.02)
    for _ in range(2):
        assert checker.check(0, body())
        assert not checker.check(1, body())
