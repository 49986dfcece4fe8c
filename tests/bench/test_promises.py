"""What each declared quality takes for right, at the exact borders, and how near a set of answers is."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.checked_answer import CheckedAnswer, checked_answer, tally
from bench.measure.held_promises import doubts, missed
from bench.model import EXACT, PLAIN, HeldOutResult, Payload, Quality, Strategy
from bench.model.expectations import LabelExpectation, NoExpectation
from bench.request_sets.comparators import LabelAnswer, comparison
from bench.request_sets.promises import malformed, promised, verified
from tests.bench.plans import strategy

NAMES = ("rain", "snow", "hail")
BOUNDED = Quality("bounded", 0.125)
AGREEMENT = Quality("agreement", None, 0.9, 0.1)
# eighths and their like are exact in binary, so that borders are borders
SIXTEENTHS = st.integers(0, 16)


def body(label: str, *values: float) -> bytes:
    return json.dumps({"prediction": label, "probabilities": dict(zip(NAMES, values, strict=True))}).encode()


def expect(*values: float, near: tuple[str, ...] = ()) -> LabelExpectation:
    probabilities = dict(zip(NAMES, values, strict=True))
    return LabelExpectation(max(probabilities, key=lambda one: probabilities[one]), probabilities, near=near)


def holds(quality: Quality, wanted: LabelExpectation, answer: bytes) -> bool:
    found = comparison(promised(wanted, quality), "json", 0.02)(answer)
    return found.right


@pytest.mark.parametrize(
    ("wanted", "answer", "right"),
    [
        # each probability within the bound, and not beyond it
        (expect(0.75, 0.25, 0.0), body("rain", 0.625, 0.375, 0.0), True),
        (expect(0.75, 0.25, 0.0), body("rain", 0.62, 0.38, 0.0), False),
        # a margin of more than the bound: the reference's label alone
        (expect(0.5625, 0.4375, 0.0), body("snow", 0.45, 0.55, 0.0), True),
        (expect(0.5625 + 1e-5, 0.4375 - 1e-5, 0.0), body("snow", 0.45, 0.55, 0.0), False),
        # whatever the margin, another label must be the likeliest of its own answer
        (expect(0.5625, 0.4375, 0.0), body("snow", 0.55, 0.45, 0.0), False),
        (expect(0.5, 0.4, 0.1, near=("snow",)), body("snow", 0.4, 0.5, 0.1), True),
        (expect(0.7, 0.2, 0.1, near=("snow",)), body("hail", 0.7, 0.2, 0.1), False),
    ],
)
def test_bounded_answers_at_the_borders(wanted: LabelExpectation, answer: bytes, right: bool) -> None:
    assert holds(BOUNDED, wanted, answer) is right


@given(SIXTEENTHS, SIXTEENTHS, st.sampled_from(NAMES[:2]), SIXTEENTHS)
def test_a_bounded_answer_is_right_by_its_definition(mine: int, theirs: int, label: str, bound: int) -> None:
    """Two classes in sixteenths: every distance, margin and bound is exact."""
    wanted = expect(theirs / 16, 1 - theirs / 16, 0.0)
    answer = body(label, mine / 16, 1 - mine / 16, 0.0)
    near_enough = abs(mine - theirs) <= bound
    clear = abs(2 * theirs - 16) > bound
    own_best = label in ([*NAMES[:1]] if mine > 8 else [NAMES[1]] if mine < 8 else NAMES[:2])
    right = near_enough and (label == wanted.label or (not clear and own_best))
    assert holds(Quality("bounded", bound / 16), wanted, answer) is right


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_one_answer_of_a_share_is_right_if_it_names_its_own_best(
    own: list[float], theirs: list[float]
) -> None:
    best = NAMES[own.index(max(own))]
    assert holds(AGREEMENT, expect(*theirs), body(best, *own))


def test_exact_answers_and_other_expectations_stay_what_they_are() -> None:
    wanted = expect(0.75, 0.25, 0.0)
    assert promised(wanted, EXACT) is wanted
    assert promised(NoExpectation(), AGREEMENT) == NoExpectation()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ((0.5, 0.3, 0.2), ""),
        ((0.5, 0.3, 0.209), ""),
        ((0.5, 0.3, 0.22), "its probabilities sum to 1.02"),
        ((0.5, 0.2, 0.2), "its probabilities sum to 0.9"),
        ((1.5, -0.5, 0.0), "the probability of rain is 1.5"),
        ((0.9, -0.2, 0.3), "the probability of snow is -0.2"),
    ],
)
def test_probabilities_sum_to_one(values: tuple[float, ...], complaint: str) -> None:
    assert malformed(LabelAnswer("rain", dict(zip(NAMES, values, strict=True)))) == complaint


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(0, 0.2))
def test_a_strategys_own_answer_meets_what_it_must_answer_from_then_on(own: list[float], by: float) -> None:
    """And so does an answer that a tolerated difference changed, whatever label that makes the likeliest."""
    first = LabelAnswer(NAMES[own.index(max(own))], dict(zip(NAMES, own, strict=True)))
    later = verified(expect(0.6, 0.3, 0.1), first, 0.02)
    assert comparison(later, "json", 0.02)(body(first.label, *own)).right
    moved = [own[0] + by, *own[1:]]
    answer = body(NAMES[moved.index(max(moved))], *moved)
    right = comparison(later, "json", 0.02)(answer).right
    if by < 0.02 - 1e-9:
        assert right
    elif by > 0.02 + 1e-9:
        assert not right


def test_the_references_answer_is_wrong_once_the_own_answer_is_another() -> None:
    later = verified(
        expect(0.9, 0.1, 0.0), LabelAnswer("snow", {"rain": 0.2, "snow": 0.8, "hail": 0.0}), 0.02
    )
    assert comparison(later, "json", 0.02)(body("snow", 0.2, 0.8, 0.0)).right
    assert not comparison(later, "json", 0.02)(body("rain", 0.9, 0.1, 0.0)).right
    # a request's tolerance is its own still
    wide = LabelExpectation("rain", {"rain": 0.9, "snow": 0.1, "hail": 0.0}, tolerance=0.5)
    kept = verified(wide, LabelAnswer("snow", {"rain": 0.2, "snow": 0.8, "hail": 0.0}), 0.02)
    assert comparison(kept, "json", 0.02)(body("snow", 0.6, 0.4 + 0.3, 0.0)).right


def one(
    name: str, label: str | None, truth: str | None, off: float = 0.0, quality: Quality = AGREEMENT
) -> CheckedAnswer:
    """An answer of this label, so far off, to a request of which the reference says rain."""
    wanted = LabelExpectation("rain", {"rain": 0.6, "snow": 0.4, "hail": 0.0}, truth=truth)
    payload = Payload(name, "small", "json", "application/json", b"x", wanted)
    text = b"no JSON" if label is None else body(label, 0.6 - off, 0.4 + off, 0.0)
    return checked_answer(payload, (200, text), declaring(quality), PLAIN)


def declaring(quality: Quality) -> Strategy:
    return replace(strategy("fast"), quality=quality)


def test_answers_are_counted_by_the_reference_and_by_the_truth() -> None:
    answers = [
        one("a", "rain", "rain"),
        one("b", "rain", "snow"),
        one("c", "snow", "snow", 0.3),
        one("d", "snow", None, 0.25),
        one("e", None, "rain"),
    ]
    found = tally(answers)
    assert found == HeldOutResult(5, 2, 1, 4, 2, 2, pytest.approx(0.3), "c")
    assert (found.agreement, found.accuracy, found.loss) == (0.4, 0.5, 0.0)
    assert [each.wrong != "" for each in answers] == [False, False, False, False, True]


def result(same: int, answers: int, right: int, reference_right: int, truths: int) -> HeldOutResult:
    return HeldOutResult(answers, same, 0, truths, right, reference_right, 0.3, "a")


@given(st.integers(1, 3000), st.data())
def test_a_share_is_held_at_its_very_border_and_missed_beyond_it(answers: int, data: st.DataObject) -> None:
    same = data.draw(st.integers(1, answers))
    held = declaring(Quality("agreement", None, same / answers, 1.0))
    assert missed(held, result(same, answers, 0, 0, 0)) is None
    broken = missed(held, result(same - 1, answers, 0, 0, 0))
    assert broken is not None
    assert broken.code == "quality_missed"
    assert broken.voids


@given(st.integers(1, 3000), st.data())
def test_accuracy_may_be_less_by_the_loss_and_no_more(truths: int, data: st.DataObject) -> None:
    less = data.draw(st.integers(0, truths - 1))
    held = declaring(Quality("agreement", None, 0.0, less / truths))
    assert missed(held, result(1, 1, truths - less, truths, truths)) is None
    broken = missed(held, result(1, 1, truths - less - 1, truths, truths))
    assert broken is not None
    assert f"right on {truths - less - 1} of {truths} pictures and not on {truths}" in broken.text


def test_what_is_missed_is_told_with_its_figures() -> None:
    held = declaring(Quality("agreement", None, 0.99, 0.01))
    found = missed(held, result(1942, 2000, 1900, 1984, 2000))
    assert found is not None
    assert found.text == (
        "fast declares agreement 0.99 loss 0.01 and agrees on 0.971 of 2000 pictures and is 0.042 less "
        "accurate than the reference, right on 1900 of 2000 pictures and not on 1984"
    )
    assert "bench.quality" in found.remedy
    # only a share is judged by all answers together
    assert missed(declaring(BOUNDED), result(0, 2000, 0, 2000, 2000)) is None
    assert missed(declaring(EXACT), result(0, 2000, 0, 2000, 2000)) is None
    # more accurate than the reference is no loss
    assert missed(held, result(1990, 2000, 2000, 1984, 2000)) is None


def test_what_is_not_known_of_a_share_is_a_doubt() -> None:
    known, untold = result(9, 10, 8, 9, 10), result(9, 10, 0, 0, 0)
    held = declaring(AGREEMENT)
    assert [doubt.code for doubt in doubts(held, known, held_out=True)] == []
    assert [doubt.code for doubt in doubts(held, untold, held_out=True)] == ["accuracy_unknown"]
    (few,) = doubts(held, untold, held_out=False)
    assert (few.code, few.voids) == ("quality_on_few", False)
    assert "its 10 answers to the request set, 9 with the reference's label" in few.text
    assert list(doubts(declaring(BOUNDED), untold, held_out=False)) == []
