"""What a session is about to do: its steps, how long they usually take, and how long at most."""

from dataclasses import dataclass

from bench.measure.plan import SessionPlan
from bench.measure.steps.order import TimeEstimate, steps


@dataclass(frozen=True, slots=True)
class Outlook:
    """The steps in words, the seconds that they usually take, and at most, and what would make them last.

    Neither holds what nobody can plan: a start that hangs, or an open loop whose service answers late.
    """

    labels: tuple[str, ...]
    usual_s: float
    most_s: float
    why_most: str


def outlook(plan: SessionPlan, *, batches: int = 1) -> Outlook:
    """The outlook of a plan, of which so many batches are measured at most."""
    todo = steps(plan)
    usual_s = TimeEstimate(plan).left_s(todo)
    return Outlook(
        labels=tuple(step.label() for step in todo),
        usual_s=usual_s,
        most_s=max(usual_s, batches * sum(step.most_s(plan) for step in todo)),
        why_most=_why(plan, batches),
    )


def _why(plan: SessionPlan, batches: int) -> str:
    """What makes the session last, in words that follow `if`."""
    longer = "warm-up" if plan.window_most_s is None else "warm-up and every window"
    reasons = [f"every {longer} lasts as long as it may"]
    if plan.objective is not None:
        reasons.insert(0, "every search tries as often as it may")
    if plan.has_shares:
        reasons.append("every closed loop of which loads are shares is made twice")
    if plan.base is not None:
        reasons = ["the host spoils every second pair"]
    if batches > 1:
        reasons.append("a regression is measured a second time")
    return " and ".join(reasons)
