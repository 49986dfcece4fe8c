"""Latency curves from a run's response times: each percentile as far as the number of samples supports it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench import statistics
from bench.analysis.cases import Case
from bench.analysis.run_analysis import Floats, Latencies

POINTS = 80
FIRST = 0.1
READ_MOST = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)


@dataclass(frozen=True, slots=True)
class Curve:
    """Latency in ms at each quantile, pooled over rounds, and the span of rounds, NaN beyond any."""

    quantiles: Floats
    latency_ms: Floats
    lowest_ms: Floats
    highest_ms: Floats
    n: int
    rounds: int


def curves(latencies: Latencies) -> dict[tuple[str, Case], Curve]:
    """A curve for each strategy and case with samples enough."""
    found = {key: curve(rounds) for key, rounds in latencies.items()}
    return {key: value for key, value in found.items() if value is not None}


def curve(rounds: Iterable[Floats]) -> Curve | None:
    """Pool rounds into one curve; None where no quantile has enough samples."""
    ordered = [np.sort(latencies) for latencies in rounds]
    pooled = np.sort(np.concatenate(ordered)) if ordered else np.empty(0)
    top = statistics.greatest_quantile(len(pooled))
    if top == 0:
        return None
    evenly = 1 - np.logspace(np.log10(1 - FIRST), np.log10(1 - top), POINTS)
    quantiles = np.union1d(evenly, [quantile for quantile in READ_MOST if quantile <= top])
    each = np.array([_at(latencies, quantiles) for latencies in ordered])
    # NaN, which hides the span, wherever one round does not reach
    lowest, highest = each.min(axis=0), each.max(axis=0)
    return Curve(quantiles, _at(pooled, quantiles), lowest, highest, len(pooled), len(ordered))


def _at(ordered: Floats, quantiles: Floats) -> Floats:
    """Nearest-rank quantiles of sorted values; NaN beyond the highest quantile that their number supports."""
    if len(ordered) == 0:
        return np.full(len(quantiles), np.nan)
    ranks = np.clip(np.ceil(len(ordered) * quantiles - 1e-9).astype(int), 1, len(ordered))
    values: Floats = ordered[ranks - 1].copy()
    values[quantiles > statistics.greatest_quantile(len(ordered)) + 1e-12] = np.nan
    return values
