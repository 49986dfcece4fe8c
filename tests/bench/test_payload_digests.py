"""Two request sets with the same names are told apart by all that is sent and by what must come back."""

from dataclasses import replace
from typing import Any

import pytest

from bench.errors import UsageError
from bench.measure.payload_digests import payload_digests
from bench.measure.run_builder import RunBuilder, take_up
from bench.measure.runtime.instance import RuntimeFacts
from bench.measure.steps.order import steps
from bench.model import Environment, RunSettings
from bench.model.expectations import JsonExpectation, LabelExpectation, NoExpectation
from tests.bench.plans import SETS, payload, plan, run_of

SENT = payload("small", "json")


def environment(settings: RunSettings) -> Environment:
    return Environment(commit="abc1234", dirty=False, settings=settings)


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"y" * 100},
        {"path": "/other"},
        {"method": "PUT"},
        {"headers": {"X-A": "b"}},
        {"content_type": "text/plain"},
        {"weight": 2.0},
        {"expect": LabelExpectation("rain", {"rain": 0.9})},
        {"expect": LabelExpectation("rain", {"rain": 1.0}, tolerance=0.5)},
        {"expect": NoExpectation()},
        {"reply": "msgpack"},
    ],
)
def test_anything_that_is_sent_or_must_come_back_changes_the_digest_of_its_class(
    change: dict[str, Any],
) -> None:
    other = payload("seed", "json")
    before = payload_digests({("small", "json"): (SENT,), ("seed", "json"): (other,)})
    after = payload_digests({("small", "json"): (replace(SENT, **change),), ("seed", "json"): (other,)})
    assert before["small"] != after["small"]
    assert before["seed"] == after["seed"]
    assert len(before["small"]) == 64


def test_neither_the_order_of_headers_nor_that_of_keys_changes_it() -> None:
    sent = [
        replace(SENT, headers=dict(headers), expect=JsonExpectation(dict(value)))
        for headers, value in (
            ([("A", "1"), ("B", "2")], [("a", 1), ("b", 2)]),
            ([("B", "2"), ("A", "1")], [("b", 2), ("a", 1)]),
        )
    ]
    one, other = (payload_digests({("small", "json"): (each,)}) for each in sent)
    assert one == other


def test_a_body_cannot_pass_for_the_payload_behind_it() -> None:
    whole = payload_digests({("small", "json"): (replace(SENT, body=b"ab"), replace(SENT, body=b"c"))})
    other = payload_digests({("small", "json"): (replace(SENT, body=b"a"), replace(SENT, body=b"bc"))})
    assert whole != other


def test_a_run_does_not_go_on_with_other_requests_of_the_same_names() -> None:
    made = plan()
    run = replace(run_of(made, list(steps(made))[:30]), environment=environment(made.settings()))
    other = plan(payloads={one: (replace(payload(*one), body=b"z" * 10),) for one in SETS})
    assert made.settings().payloads == other.settings().payloads
    with pytest.raises(UsageError, match="these have changed: requests"):
        take_up(run, other, "process", environment(other.settings()))
    assert take_up(run, made, "process", environment(made.settings())).trials == run.trials


def test_an_older_run_goes_on_and_says_no_more_of_its_requests_than_it_did() -> None:
    made = plan()
    older = replace(made.settings(), payload_digests=RunSettings().payload_digests)
    run = replace(run_of(made, list(steps(made))[:30]), environment=environment(older))
    here = environment(made.settings())
    taken = take_up(run, made, "process", here)
    assert taken.trials == run.trials
    told = RunBuilder(made, "now", here, str, taken).run("process", RuntimeFacts("loopback"))
    assert told.environment.settings == older
    changed = environment(replace(made.settings(), seed=8))
    with pytest.raises(UsageError, match="settings"):
        take_up(run, made, "process", changed)
