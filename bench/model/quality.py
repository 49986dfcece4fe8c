"""How near a strategy's answers are to the reference's: what it declares, and what was found."""

from dataclasses import dataclass
from typing import Literal

Promise = Literal["exact", "bounded", "agreement"]
PROMISES: tuple[Promise, ...] = ("exact", "bounded", "agreement")


@dataclass(frozen=True, slots=True)
class Quality:
    """What a strategy declares of its answers.

    `exact`: the reference's label, and each probability within the run's tolerance. `bounded`: each
    probability within `tolerance`, and the reference's label wherever its margin over the next one is larger
    than that. `agreement`: the reference's label for a share of at least `agreement` of the held-out set, and
    an accuracy there that is at most `loss` below the reference's. Numbers are shares, from 0 to 1; None for
    what the kind does not state.
    """

    promise: Promise = "exact"
    tolerance: float | None = None
    agreement: float | None = None
    loss: float | None = None


EXACT = Quality()


@dataclass(frozen=True, slots=True)
class HeldOutResult:
    """What a strategy answered to the held-out set, once and in one encoding.

    `same_label` of the `answers` had the reference's label, `unread` could not be read. Of `truths` pictures
    the true class is known: `right` of them were answered with it, `reference_right` by the reference.
    `largest_difference` is that of a probability, None without an answer that could be read; `largest_at` is
    its request.
    """

    answers: int
    same_label: int
    unread: int
    truths: int
    right: int
    reference_right: int
    largest_difference: float | None
    largest_at: str = ""

    @property
    def agreement(self) -> float:
        """The share of answers with the reference's label."""
        return self.same_label / self.answers

    @property
    def accuracy(self) -> float | None:
        """The share of answers with the true class; None if no true class is known."""
        return self.right / self.truths if self.truths else None

    @property
    def loss(self) -> float | None:
        """By how much its accuracy is below the reference's; None if no true class is known."""
        return (self.reference_right - self.right) / self.truths if self.truths else None
