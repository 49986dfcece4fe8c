"""Whether what a strategy answered holds the quality that it declares, and what is not known of that."""

from collections.abc import Iterator, Sequence

from bench.measure.checked_answer import CheckedAnswer
from bench.measure.runtime.quality_label import in_label
from bench.model import Doubt, HeldOutResult, Strategy
from bench.request_sets.held_out import HELD_OUT

SHOWN_OFFENDERS = 5
REMEDY = "declare in its label bench.quality what it holds, or see the service's log"
MAKE_ONE = (
    f"put a set of 2000 requests or more, with their true classes, into {HELD_OUT}/ beside the manifest"
)


def wrong_answers(strategy: Strategy, answers: Sequence[CheckedAnswer], folder: str = "") -> list[str]:
    """The answers that are wrong by what the strategy declares of each single one, a clause each."""
    return [f"{strategy.name} on {folder}{one.what}: {one.wrong}" for one in answers if one.wrong]


def wrong_doubt(strategy: Strategy, wrong: Sequence[str]) -> Doubt | None:
    """That the strategy gives these wrong answers, the first of which are told; None if there are none."""
    if not wrong:
        return None
    more = f"; and {len(wrong) - SHOWN_OFFENDERS} more" if len(wrong) > SHOWN_OFFENDERS else ""
    text = f"{strategy.name} gives wrong answers: {'; '.join(wrong[:SHOWN_OFFENDERS])}{more}"
    return Doubt("wrong_answers", text, "see the service's log", voids=True, cause="service")


def missed(strategy: Strategy, found: HeldOutResult) -> Doubt | None:
    """That the strategy declares more than these answers hold; None if they hold it."""
    quality, what = strategy.quality, in_label(strategy.quality)
    if quality.promise != "agreement" or not found.answers:
        return None
    broken = []
    if quality.agreement is not None and found.agreement < quality.agreement:
        broken.append(f"agrees on {found.agreement:.4g} of {found.answers} pictures")
    if quality.loss is not None and found.loss is not None and found.loss > quality.loss:
        broken.append(
            f"is {found.loss:.4g} less accurate than the reference, right on {found.right} of {found.truths} "
            f"pictures and not on {found.reference_right}"
        )
    if not broken:
        return None
    text = f"{strategy.name} declares {what} and {' and '.join(broken)}"
    return Doubt("quality_missed", text, REMEDY, voids=True, cause="service")


def doubts(strategy: Strategy, found: HeldOutResult, *, held_out: bool) -> Iterator[Doubt]:
    """What is not known of a declared agreement that these answers hold.

    They are those to the held-out set, or, if there is none, those to the request set.
    """
    if strategy.quality.promise != "agreement":
        return
    what = f"{strategy.name} declares {in_label(strategy.quality)}"
    if not held_out:
        text = (
            f"{what}, which was judged on its {found.answers} answers to the request set, {found.same_label} "
            "with the reference's label: there is no held-out set"
        )
        yield Doubt("quality_on_few", text, MAKE_ONE, voids=False, cause="harness")
    elif not found.truths:
        text = f"{what}, and no request of the held-out set has a true class: its accuracy is not known"
        remedy = f"write each `truth` into {HELD_OUT}/manifest.json"
        yield Doubt("accuracy_unknown", text, remedy, voids=False, cause="harness")
