"""The answers of a strategy to a set of requests, each checked by what the strategy declares, and counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.measure.http_client import Checked, checked, shown
from bench.measure.judge import tolerance_of
from bench.model import Access, HeldOutResult, Payload, Strategy
from bench.model.expectations import Expectation, LabelExpectation
from bench.request_sets.comparators import LabelAnswer, label_reader
from bench.request_sets.promises import WHOLE, malformed, promised
from bench.request_sets.request_set import AS_IS


def allowed_of(strategy: Strategy) -> float:
    """How far a probability of a strategy's answer may be from the reference's, by what it declares."""
    if strategy.quality.promise == "agreement":
        return WHOLE
    return tolerance_of(strategy) if strategy.quality.tolerance is None else strategy.quality.tolerance


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """One answer: to which request in which encoding, what the reference says, and what came of the check.

    `label` is None if the answer cannot be read, or has no label.
    """

    name: str
    encoding: str
    expect: Expectation
    found: Checked
    label: LabelAnswer | None

    @property
    def what(self) -> str:
        """The request and its encoding, in words."""
        return f"{self.name} as {'it is' if self.encoding == AS_IS else self.encoding}"

    @property
    def wrong(self) -> str:
        """What is wrong with it, empty if nothing is."""
        said = f" {self.found.said}" if self.found.said else ""
        return "" if self.found.complaint is None else f"{self.found.complaint}{said}"


def checked_answer(
    payload: Payload, answer: tuple[int, bytes], strategy: Strategy, access: Access
) -> CheckedAnswer:
    """An answer, its status and body, checked by what the strategy declares of each single answer."""
    expect, label = payload.expect, None
    asked = replace(payload, expect=promised(expect, strategy.quality))
    found = checked(answer, asked, tolerance_of(strategy), access)
    if isinstance(expect, LabelExpectation) and 200 <= answer[0] < 300:
        label = label_reader(expect.probabilities, payload.reply)(answer[1])
        wrong = malformed(label) if label is not None and strategy.quality.promise == "agreement" else ""
        if wrong and found.complaint is None:
            found = replace(found, complaint=f"answered {shown(answer[1], access)} ({wrong})")
    return CheckedAnswer(payload.name, payload.encoding, expect, found, label)


def tally(answers: Sequence[CheckedAnswer]) -> HeldOutResult:
    """How near answers are to the reference's and to the truth; those that expect no label do not count."""
    pairs = [(one, one.expect) for one in answers if isinstance(one.expect, LabelExpectation)]
    given = [(one.label.label if one.label else None, expect) for one, expect in pairs]
    known = [(label, expect) for label, expect in given if expect.truth is not None]
    off = [(one.found.off, one.name) for one, _ in pairs if one.label and one.found.off is not None]
    largest, at = max(off, default=(None, ""))
    return HeldOutResult(
        answers=len(pairs),
        same_label=sum(label == expect.label for label, expect in given),
        unread=sum(one.label is None for one, _ in pairs),
        truths=len(known),
        right=sum(label == expect.truth for label, expect in known),
        reference_right=sum(expect.label == expect.truth for _, expect in known),
        largest_difference=largest,
        largest_at=at,
    )
