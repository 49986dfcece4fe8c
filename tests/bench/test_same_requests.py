"""Base and head are compared only if both are sent the same, in all that is sent."""

from dataclasses import replace
from typing import Any

import pytest

from bench.errors import InvalidRunError
from bench.model.expectations import LabelExpectation
from bench.verbs.base_and_head import require_same_requests
from tests.bench.plans import payload, plan

CHOSEN = ("small", "json")
SENT = payload(*CHOSEN)
HEAD = plan(payloads={CHOSEN: (SENT,)})


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"y" * 100},
        {"content_type": "text/plain"},
        {"path": "/other"},
        {"method": "PUT"},
        {"headers": {"X-A": "b"}},
        {"weight": 2.0},
        {"name": "b.jpg"},
    ],
)
def test_a_base_that_is_sent_anything_else_is_not_compared(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRunError, match="different requests of class small"):
        require_same_requests(HEAD, {CHOSEN: (replace(SENT, **change),)})


def test_a_base_without_the_class_in_this_encoding_is_not_compared() -> None:
    for theirs in ({}, {("small", "as-is"): (SENT,)}, {CHOSEN: (SENT, SENT)}):
        with pytest.raises(InvalidRunError, match="different requests of class small"):
            require_same_requests(HEAD, theirs)


def test_a_base_may_have_other_answers() -> None:
    answers = LabelExpectation("snow", {"snow": 1.0})
    require_same_requests(HEAD, {CHOSEN: (replace(SENT, expect=answers),)})
