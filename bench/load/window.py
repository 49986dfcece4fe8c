"""What a trial's samples say of its window: rates, quantiles, and whether they may be believed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.load.samples import Samples
from bench.model import OUTCOMES, LatencyMs

LEAST_N = {0.50: 6, 0.95: 72, 0.99: 368}
LITTLE_TOLERANCE = 0.03
STEADY_TOLERANCE = 0.10
OK, WRONG, HTTP_ERROR, CONNECTION_ERROR, TIMEOUT, UNFINISHED = range(len(OUTCOMES))


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """The figures of one window; `requests` counts those that ended in it or were never answered."""

    requests: int
    ok: int
    errors: int
    wrong_answers: int
    throughput_rps: float
    latency_ms: LatencyMs
    warnings: tuple[str, ...]
    valid: bool


def quantile_ms(response_ns: NDArray[np.int64], q: float) -> float | None:
    """The q-quantile in milliseconds (the order statistic at ceil(q n)), None below the least n for it."""
    n = len(response_ns)
    if n < LEAST_N[q]:
        return None
    rank = max(1, int(np.ceil(q * n - 1e-9)))
    return float(np.partition(response_ns, rank - 1)[rank - 1]) / 1e6


def summarise(samples: Samples, clients: int, warmup_s: float, window_s: float) -> WindowFigures:
    """Reduce a closed-loop trial's samples to its window's figures."""
    begin, end = int(warmup_s * 1e9), int((warmup_s + window_s) * 1e9)
    # an unfinished request ends when the drain cuts it, after the window, yet it was the window's to answer
    late = (samples.outcome == UNFINISHED) & (samples.due_ns < end)
    inside = ((samples.done_ns >= begin) & (samples.done_ns < end)) | late
    outcome = samples.outcome[inside]
    good = inside & (samples.outcome == OK)
    response_ns = (samples.done_ns - samples.due_ns)[good]
    ok = int(good.sum())
    wrong = int((outcome == WRONG).sum())
    errors = len(outcome) - ok - wrong
    # a request that failed after the window, or before it, still says that the trial was not clean
    outside_wrong = int((samples.outcome == WRONG).sum()) - wrong
    throughput_rps = ok / window_s
    notes, valid = _judge(throughput_rps, response_ns, clients, ok, errors, wrong, outside_wrong)
    notes += _steadiness(samples.done_ns[good], begin, end)
    return WindowFigures(
        requests=len(outcome),
        ok=ok,
        errors=errors,
        wrong_answers=wrong + outside_wrong,
        throughput_rps=throughput_rps,
        latency_ms=LatencyMs(
            quantile_ms(response_ns, 0.50), quantile_ms(response_ns, 0.95), quantile_ms(response_ns, 0.99)
        ),
        warnings=tuple(notes),
        valid=valid,
    )


def _judge(
    throughput_rps: float,
    response_ns: NDArray[np.int64],
    clients: int,
    ok: int,
    errors: int,
    wrong: int,
    outside_wrong: int,
) -> tuple[list[str], bool]:
    """The reasons not to believe a window, and whether it is valid without them."""
    notes = []
    if wrong or outside_wrong:
        where = f" ({outside_wrong} of them outside the window)" if outside_wrong else ""
        notes.append(f"{wrong + outside_wrong} wrong answers{where}: the trial says nothing about speed")
    if errors:
        notes.append(f"{errors} of {ok + errors + wrong} requests failed")
    if not ok:
        return [*notes, "no request was answered correctly in the window"], False
    balance = throughput_rps * float(response_ns.mean()) / 1e9
    off = abs(balance - clients) / clients
    if off > LITTLE_TOLERANCE:
        notes.append(
            f"Little's law is off by {off:.1%}: throughput times mean response time gives {balance:.1f} "
            f"clients where {clients} were driven"
        )
    return notes, not notes


def _steadiness(done_ns: NDArray[np.int64], begin: int, end: int) -> list[str]:
    """A warning where the window's three thirds differ by more than a tenth."""
    counts, _ = np.histogram(done_ns, bins=3, range=(begin, end))
    least, most = int(counts.min()), int(counts.max())
    if most and (most - least) / most > STEADY_TOLERANCE:
        thirds = " / ".join(str(int(count)) for count in counts)
        return [f"not steady: the window's thirds hold {thirds} answers; lengthen --warmup-s or --window-s"]
    return []
