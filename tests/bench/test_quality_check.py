"""What a strategy declares is checked against what a real server answers, before anything is timed."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cores import Cores
from bench.measure.held_out_answers import AT_ONCE, MOST_UNREAD
from bench.measure.own_answers import OwnAnswers
from bench.measure.plan import OtherSide, SessionPlan
from bench.measure.progress import Silent
from bench.measure.run_builder import MeasuredHeldOut, MeasuredParity
from bench.measure.steps.order import TimeEstimate, steps
from bench.measure.steps.parity import ParityStep
from bench.measure.steps.step import StepContext, UnfitStrategyError
from bench.model import (
    EXACT,
    PLAIN,
    ClosedLoad,
    Doubt,
    HeldOutResult,
    Payload,
    Quality,
    Strategy,
    Twin,
    twin_name,
)
from bench.model.expectations import LabelExpectation
from bench.request_sets.comparators import comparison
from bench.request_sets.older_set import image_input
from bench.request_sets.request_set import SetRequest
from bench.verbs.base_and_head import only
from tests.bench.plans import run_of

Answer = tuple[int, bytes]
COUNT = 20
ODD = b"picture 7"
BOUNDED, TIGHT = Quality("bounded", 0.05), Quality("bounded", 0.025)
AGREEMENT, STRICT = Quality("agreement", None, 0.9, 0.1), Quality("agreement", None, 0.99, 0.1)


def body(rain: float, label: str = "") -> bytes:
    probabilities = {"rain": rain, "snow": round(1 - rain, 6)}
    best = label or max(probabilities, key=lambda name: probabilities[name])
    return json.dumps({"prediction": best, "probabilities": probabilities}).encode()


def picture(number: int, truth: str | None = "rain") -> SetRequest:
    expect = LabelExpectation("rain", {"rain": 0.9, "snow": 0.1}, truth=truth)
    return SetRequest(f"{number}.jpg", image_input("a.jpg", b"picture %d" % number), expect, "small")


SET = tuple(picture(number) for number in range(COUNT))
APART = tuple(picture(number) for number in range(100, 100 + COUNT))


@dataclass(slots=True)
class Served:
    """A server that answers a picture as `answer` says; it counts its connections and requests."""

    answer: Callable[[bytes], Answer]
    port: int = 0
    connections: int = 0
    pictures: list[bytes] = field(default_factory=list)
    closes: bool = False
    """Whether it closes each connection after an answer without having said so."""


@contextmanager
def serving(answer: Callable[[bytes], Answer], *, closes: bool = False) -> Iterator[Served]:
    served = Served(answer, closes=closes)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            served.connections += 1

        def do_GET(self) -> None:  # as the library calls it
            self.send(200, b"{}")

        def do_POST(self) -> None:  # as the library calls it
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            served.pictures.append(sent)
            self.send(*served.answer(sent))
            self.close_connection = served.closes

        def send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def declaring(quality: Quality) -> Strategy:
    return Strategy(
        "mine", "Mine", "mine", 1, "/predict/", "/ready", ("raw",), None, tolerance=0.02, quality=quality
    )


def planned(quality: Quality, held_out: Sequence[SetRequest] = (), **changes: Any) -> SessionPlan:
    payloads = tuple(
        Payload(one.name, "small", "raw", "image/jpeg", one.only_bytes.data[0], one.expect)  # type: ignore[union-attr, arg-type]  # pictures
        for one in SET
    )
    made = SessionPlan(
        (declaring(quality),), {("small", "raw"): payloads}, (ClosedLoad(2, 1, 1),),
        1, 1, 0.0, 1, False, "run",
        held_out=tuple(held_out),
    )  # fmt: skip
    return replace(made, **changes)


def context(plan: SessionPlan, port: int, own: dict[str, Any] | None = None) -> StepContext:
    instance: Any = SimpleNamespace(
        created_ns=0, running_ns=1, host="127.0.0.1", port=port, address_kind="loopback", model_cache="cold",
        pid=0, access=PLAIN, cores=None, here=True, alive=lambda: True, fate=lambda: (), log_tail=lambda: "",
        stop=lambda: None,
    )  # fmt: skip
    runtime: Any = SimpleNamespace(start=lambda *_, **__: instance)
    cores = Cores((0,), (1,), (0, 1))
    return StepContext(plan, SET, runtime, cores, Path(), Silent(), run_of(plan, []), None, own or {})


@dataclass(slots=True)
class Found:
    """What the step yields, and why the strategy is unfit; None if it is not."""

    results: list[Any]
    unfit: Doubt | None = None
    said: str = ""

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.results if isinstance(one, kind)]

    @property
    def held_out(self) -> HeldOutResult:
        (found,) = self.of(MeasuredHeldOut)
        result: HeldOutResult = found.held_out
        return result


def check(plan: SessionPlan, port: int) -> Found:
    found = Found([])
    try:
        for one in ParityStep(strategy="mine").take(context(plan, port)):
            found.results.append(one)
    except UnfitStrategyError as error:
        found.unfit = error.doubt
        found.said = str(error)
    return found


def right(_: bytes) -> Answer:
    return 200, body(0.9)


def shifted(sent: bytes) -> Answer:
    """All but the first picture, to which every start must be answered rightly."""
    return 200, body(0.9 if sent == b"picture 0" else 0.87)


def often_wrong(sent: bytes) -> Answer:
    """One in ten of both sets has another label."""
    return 200, body(0.2 if sent.endswith(b"7") else 0.9)


def apart(answer: Answer) -> Callable[[bytes], Answer]:
    """Right on the request set, this on one of the held-out pictures."""
    return lambda sent: answer if sent == b"picture 107" else right(sent)


def odd(answer: Answer) -> Callable[[bytes], Answer]:
    """Right on all pictures but one of the request set."""
    return lambda sent: answer if sent == ODD else right(sent)


NAN = b'{"prediction":"rain","probabilities":{"rain":NaN,"snow":0.1}}'
HALF = b'{"prediction":"rain","probabilities":{"rain":0.4,"snow":0.1}}'
OTHERS = b'{"prediction":"rain","probabilities":{"rain":0.9,"hail":0.1}}'
ALL = (EXACT, BOUNDED, AGREEMENT)


@pytest.mark.parametrize(
    ("answer", "fit", "unfit"),
    [
        (right, (EXACT, BOUNDED, TIGHT, AGREEMENT, STRICT), ()),
        (shifted, (BOUNDED, AGREEMENT, STRICT), (EXACT, TIGHT)),
        (often_wrong, (AGREEMENT,), (EXACT, BOUNDED, STRICT)),
        (apart((200, body(0.87))), (BOUNDED, AGREEMENT, STRICT), (EXACT, TIGHT)),
        (apart((200, body(0.2))), (AGREEMENT,), (EXACT, BOUNDED, STRICT)),
        (apart((200, b"no JSON")), (), (*ALL, STRICT)),
        (apart((500, b"")), (), ALL),
        (apart((200, NAN)), (), ALL),
        (apart((200, OTHERS)), (), ALL),
        (apart((200, HALF)), (), ALL),
        (odd((200, b"no JSON")), (), ALL),
        (odd((503, b"later")), (), ALL),
        (odd((200, NAN)), (), ALL),
        (odd((200, OTHERS)), (), ALL),
        (odd((200, HALF)), (), ALL),
        # it names a class that it takes for less likely than another
        (odd((200, body(0.2, "rain"))), (AGREEMENT,), (EXACT, BOUNDED)),
        (odd((200, body(0.9, "snow"))), (), ALL),
    ],
)
def test_a_strategy_is_fit_if_it_holds_what_it_declares(
    answer: Callable[[bytes], Answer], fit: Sequence[Quality], unfit: Sequence[Quality]
) -> None:
    with serving(answer) as served:
        for quality in (*fit, *unfit):
            found = check(planned(quality, APART), served.port)
            assert (found.unfit is None) is (quality in fit), (quality, found.unfit)
            # kept whatever comes of it
            assert found.held_out.answers == COUNT
            assert len(found.of(MeasuredParity)) == 1
            assert len(found.of(OwnAnswers)) == (quality in fit and quality != EXACT)


def test_a_wrong_held_out_answer_is_told_with_its_request() -> None:
    with serving(apart((200, body(0.8)))) as served:
        found = check(planned(EXACT, APART), served.port)
    assert found.unfit is not None
    assert found.unfit.code == "wrong_answers"
    assert found.said == f"nothing was timed, {found.unfit.text}"
    assert "mine on held_out/107.jpg as raw: answered" in found.unfit.text
    assert "a probability is 0.1 off, at most 0.02 may be" in found.unfit.text
    assert (found.held_out.same_label, found.held_out.largest_at) == (COUNT, "107.jpg")
    assert found.held_out.largest_difference == pytest.approx(0.1)


def test_a_missed_share_is_told_with_its_figures() -> None:
    with serving(often_wrong) as served:
        found = check(planned(STRICT, APART), served.port)
    assert found.unfit is not None
    assert found.unfit.code == "quality_missed"
    assert found.unfit.text == "mine declares agreement 0.99 loss 0.1 and agrees on 0.9 of 20 pictures"


def test_lost_accuracy_counts_where_agreement_holds() -> None:
    with serving(apart((200, body(0.2)))) as served:
        found = check(planned(Quality("agreement", None, 0.9, 0.04), APART), served.port)
        assert found.unfit is not None
        assert "is 0.05 less accurate than the reference, right on 19 of 20 pictures" in found.unfit.text
        # what is right where the reference is not makes up for it
        truths = tuple(
            picture(number, "snow" if number in (107, 110) else "rain") for number in range(100, 120)
        )
        found = check(planned(Quality("agreement", None, 0.9, 0.04), truths), served.port)
    assert found.unfit is None
    assert (found.held_out.right, found.held_out.reference_right) == (19, 18)


def test_without_a_held_out_set_the_request_set_is_judged_and_a_doubt_says_so() -> None:
    with serving(often_wrong) as served:
        found = check(planned(AGREEMENT), served.port)
        missed = check(planned(STRICT), served.port)
    assert found.unfit is None
    assert found.of(MeasuredHeldOut) == []
    (doubt,) = found.of(Doubt)
    assert (doubt.code, doubt.voids) == ("quality_on_few", False)
    assert "its 20 answers to the request set, 18 with the reference's label" in doubt.text
    assert missed.unfit is not None
    assert "agrees on 0.9 of 20 pictures" in missed.unfit.text


def test_an_accuracy_that_nobody_knows_is_a_doubt() -> None:
    with serving(right) as served:
        found = check(planned(AGREEMENT, [picture(number, None) for number in range(100, 120)]), served.port)
    assert [doubt.code for doubt in found.of(Doubt)] == ["accuracy_unknown"]


def test_a_quick_run_asks_only_a_strategy_that_declares_a_share() -> None:
    with serving(right) as served:
        for quality, asked in ((EXACT, 0), (BOUNDED, 0), (AGREEMENT, 1)):
            found = check(planned(quality, APART, quick=True), served.port)
            assert len(found.of(MeasuredHeldOut)) == asked


def test_the_held_out_set_is_asked_over_a_few_kept_connections() -> None:
    many = tuple(picture(number) for number in range(100, 400))
    with serving(right) as served:
        plain = check(planned(EXACT), served.port)
        before = served.connections
        found = check(planned(EXACT, many), served.port)
        assert served.connections - 2 * before == AT_ONCE
    assert plain.unfit is None
    assert found.unfit is None
    assert sorted(served.pictures[-300:]) == sorted(b"picture %d" % number for number in range(100, 400))


def test_a_service_that_closes_kept_connections_is_asked_again() -> None:
    with serving(right, closes=True) as served:
        found = check(planned(EXACT, APART), served.port)
    assert found.unfit is None
    assert found.held_out.unread == 0


def test_a_service_that_fails_on_all_is_not_asked_all() -> None:
    many = tuple(picture(number) for number in range(100, 1100))
    with serving(lambda sent: right(sent) if len(sent) < len(b"picture 100") else (500, b"")) as served:
        found = check(planned(AGREEMENT, many), served.port)
    assert found.unfit is not None
    assert found.unfit.code == "wrong_answers"
    assert MOST_UNREAD <= found.held_out.answers < MOST_UNREAD + AT_ONCE


def test_under_load_an_inexact_strategy_must_answer_as_it_did() -> None:
    with serving(often_wrong) as served:
        plan = planned(AGREEMENT, APART)
        (own,) = check(plan, served.port).of(OwnAnswers)
    at = context(plan, served.port, {"mine": own.answers})
    sent = at.payloads_to(plan.strategies[0], ("small", "raw"))
    expected = {one.name: one.expect for one in sent}
    assert [one.body for one in sent] == [one.body for one in plan.payloads["small", "raw"]]
    takes = {name: comparison(wanted, "json", 0.02) for name, wanted in expected.items()}
    assert takes["7.jpg"](body(0.2)).right
    assert not takes["7.jpg"](body(0.9)).right
    assert takes["8.jpg"](body(0.9)).right
    assert not takes["8.jpg"](body(0.2)).right
    assert at.first_payload(plan.strategies[0]).expect == expected["0.jpg"]
    # another strategy, and an exact one, must answer as the reference does
    exact = declaring(EXACT)
    assert at.payloads_to(exact, ("small", "raw")) == plan.payloads["small", "raw"]


def test_the_twin_of_another_commit_has_its_own_side_and_its_own_answers() -> None:
    head = declaring(BOUNDED)
    name = twin_name("mine", "base")
    base = replace(head, name=name, twin=Twin("mine", "base"), quality=AGREEMENT)
    plan = planned(BOUNDED, APART)
    theirs = tuple(replace(one, expect=LabelExpectation("snow", {"rain": 0.1, "snow": 0.9})) for one in SET)
    sent = tuple(
        replace(one, expect=other.expect)
        for one, other in zip(plan.payloads["small", "raw"], theirs, strict=True)
    )
    other = OtherSide("main", "abc", (), theirs, {("small", "raw"): sent}, theirs[:3])
    both = replace(plan, strategies=(base, head), base=other)
    assert both.held_out_for(base) == theirs[:3]
    assert both.held_out_for(head) == APART
    own = LabelExpectation("rain", {"rain": 0.6, "snow": 0.4})
    at = context(both, 1, {name: {("3.jpg", "raw"): own}})
    ours, base_sent = at.payloads_to(head, ("small", "raw")), at.payloads_to(base, ("small", "raw"))
    assert base_sent[3].expect == own
    assert isinstance(base_sent[4].expect, LabelExpectation)
    assert base_sent[4].expect.label == "snow"
    assert isinstance(ours[3].expect, LabelExpectation)
    assert (ours[3].expect.label, ours[3].expect.tolerance) == ("rain", 0.05)


def test_a_plan_says_what_is_asked_apart_and_how_long_that_takes() -> None:
    apart_, without = planned(EXACT, APART), planned(EXACT)
    assert steps(apart_)[0].label() == "parity mine and 20 held-out requests"
    assert steps(without)[0].label() == "parity mine"
    added = TimeEstimate(apart_).left_s(steps(apart_)[:1]) - TimeEstimate(without).left_s(steps(without)[:1])
    assert 0.05 < added < 1
    assert steps(planned(EXACT, APART, quick=True))[0].label() == "parity mine"


def test_a_second_batch_takes_the_own_answers_again_and_no_other_check() -> None:
    both = replace(
        planned(EXACT, APART), strategies=(declaring(EXACT), replace(declaring(BOUNDED), name="near"))
    )
    again = only(both, ["mine", "near"])
    assert [step.strategy for step in steps(again) if step.kind == "parity"] == ["near"]
