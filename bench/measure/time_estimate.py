"""How long the steps of a plan take: guessed at first, then by what each kind of step has taken."""

from collections.abc import Sequence

from bench.measure.plan import REPEAT_WARMUP_S, REPEAT_WINDOW_S, REPEAT_WINDOWS, SessionPlan, Step
from bench.measure.steps.objective import MOST_PROBES

# what a step takes beside its own windows, in seconds, until the session has seen one
FIRST_GUESS_S = {
    "parity": 9.0,
    "size": 4.0,
    "ceiling": 3.0,
    "capacity": 6.5,
    "repeat": 5.0,
    "trial": 6.5,
    "pair": 8.0,
    "loop": 4.0,
    "objective": 0.0,
    "start": 5.0,
    "warm start": 4.0,
}


class TimeEstimate:
    """Estimates the time left from what each kind of step has taken so far."""

    def __init__(self, plan: SessionPlan) -> None:
        load = plan.pace_load
        window_s = load.warmup_s + load.window_s
        own = {
            "trial": window_s,
            "pair": window_s,
            "capacity": window_s,
            "objective": MOST_PROBES * (window_s + FIRST_GUESS_S["trial"]),
            "repeat": REPEAT_WINDOWS * (REPEAT_WINDOW_S + REPEAT_WARMUP_S),
            "ceiling": 2 * ceiling_window_s(plan),
            "loop": 2 * plan.loop_s,
        }
        self._mean_s = {kind: guess + own.get(kind, 0.0) for kind, guess in FIRST_GUESS_S.items()}
        self._seen: dict[str, int] = {}

    def took(self, kind: str, seconds: float) -> None:
        """Learn from a step that ended."""
        seen = self._seen.get(kind, 0)
        before = self._mean_s[kind] if seen else 0.0
        self._mean_s[kind] = (before * seen + seconds) / (seen + 1)
        self._seen[kind] = seen + 1

    def left_s(self, todo: Sequence[Step]) -> float:
        """Seconds that these steps will take."""
        return sum(self._mean_s[step.kind] for step in todo)


def ceiling_window_s(plan: SessionPlan) -> float:
    """How long the driver is aimed at the null target."""
    return 1.0 if plan.quick or plan.base else 5.0
