"""What rules may name: figures that vary and are compared, and figures that are counted and only bounded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.metrics import Metric, metrics_in
from bench.gate.own_bytes import own_against, own_alone
from bench.gate.values import Batch, Sides
from bench.model import Run, Trial

Unit = Literal["bytes", "count", "share"]


@dataclass(frozen=True, slots=True)
class LimitMetric:
    """A figure of one strategy that is bounded as it is: `of(run, its name, its trials)`.

    `increases` says whether it may be bounded against base; `against(batch, its name)` gives the figures to
    compare where it takes both sides to know them. `unknown` says why `{who}` may lack it beside an image.
    """

    name: str
    label: str
    unit: Unit
    increases: bool
    of: Callable[[Run, str, Sequence[Trial]], float | None]
    unknown: str = ""
    against: Callable[[Batch, str], Sides] | None = None


def image_unpacked_bytes(run: Run, name: str, _trials: Sequence[Trial]) -> float | None:
    """The bytes of the image's layers; None where there is no image."""
    result = run.strategies.get(name)
    return result.image.unpacked_bytes if result and result.image else None


def image_own_bytes(run: Run, name: str, _trials: Sequence[Trial]) -> float | None:
    """The bytes of the image beyond its base, None where that is not known."""
    return own_alone(run, name)


def image_compressed_bytes(run: Run, name: str, _trials: Sequence[Trial]) -> float | None:
    """What a pull moves; None where there is no image or its store does not tell."""
    result = run.strategies.get(name)
    return result.image.compressed_bytes if result and result.image else None


def wrong_answers(_run: Run, _name: str, trials: Sequence[Trial]) -> float | None:
    """Wrong answers in all trials, invalid ones and warm-ups too; None where none was checked."""
    return sum(trial.wrong_answers for trial in trials) if checked(trials) else None


def error_rate(_run: Run, _name: str, trials: Sequence[Trial]) -> float | None:
    """The share of failed requests over all trials; None where no request was made."""
    requests = sum(trial.requests for trial in trials)
    return sum(trial.errors for trial in trials) / requests if requests else None


def checked(trials: Sequence[Trial]) -> int:
    """How many answers were compared with the expected one, at least: right ones count in windows alone."""
    return sum(trial.ok + trial.wrong_answers for trial in trials)


def complete(trials: Sequence[Trial]) -> bool:
    """Whether every trial made requests and came to its end."""
    return bool(trials) and all(trial.error is None and trial.requests > 0 for trial in trials)


def primary_metrics() -> dict[str, Metric]:
    """The metrics that a [[primary]] rule may name."""
    return {metric.name: metric for metric in metrics_in("gate rules")}


LIMITS: dict[str, LimitMetric] = {
    metric.name: metric
    for metric in (
        LimitMetric("image_unpacked_bytes", "unpacked image", "bytes", True, image_unpacked_bytes),
        LimitMetric(
            "image_own_bytes",
            "own part of the image",
            "bytes",
            True,
            image_own_bytes,
            "no other image of {who} begins with the same layer, which would tell what is its own",
            own_against,
        ),
        LimitMetric(
            "image_compressed_bytes",
            "compressed image",
            "bytes",
            True,
            image_compressed_bytes,
            "what a pull of {who}'s image moves is not known",
        ),
        LimitMetric("wrong_answers", "wrong answers", "count", False, wrong_answers),
        LimitMetric("error_rate", "failed requests", "share", False, error_rate),
    )
}
