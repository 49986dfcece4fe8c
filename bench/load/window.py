"""What a trial's samples say of its window: rates, quantiles, and whether they may be believed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.load.samples import Samples
from bench.model import OUTCOMES, LatencyMs

LEAST_N = {0.50: 6, 0.95: 72, 0.99: 368}
LITTLE_TOLERANCE = 0.03
STEADY_TOLERANCE = 0.10
LATE_SEND_NS = 10_000_000
LATE_SENDS_VOID = 0.01
OK, WRONG, REFUSED = (OUTCOMES.index(name) for name in ("ok", "wrong_answer", "refused"))


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """The figures of one window; rate and latency are those of right answers that ended in it.

    `requests` is `ok`, `refused` (None in a closed loop, where refusals are errors), and every wrong answer
    and failure of the whole trial, wherever it fell.
    """

    requests: int
    ok: int
    errors: int
    refused: int | None
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


def summarise(samples: Samples, clients: int | None, warmup_s: float, window_s: float) -> WindowFigures:
    """Reduce a trial's samples to its window's figures; without `clients` its load was open."""
    begin, end = int(warmup_s * 1e9), int((warmup_s + window_s) * 1e9)
    wrong, failed = samples.outcome == WRONG, (samples.outcome != OK) & (samples.outcome != WRONG)
    ended = (samples.done_ns >= begin) & (samples.done_ns < end)
    refused = None
    if clients is None:
        # an open load goes on as it was planned, and to turn some of it away is an answer
        refused = int((ended & (samples.outcome == REFUSED)).sum())
        failed &= samples.outcome != REFUSED
    # a request that failed after the window's end was yet the window's to answer
    inside = ended | (failed & (samples.due_ns < end) & (samples.done_ns >= end))
    good = ended & (samples.outcome == OK)
    response_ns = (samples.done_ns - samples.due_ns)[good]
    ok, errors, wrong_answers = int(good.sum()), int(failed.sum()), int(wrong.sum())
    requests = ok + errors + wrong_answers + (refused or 0)
    throughput_rps = ok / window_s
    # what went wrong outside the window still says that the trial was not clean
    notes = [
        *_faults("wrong answers", wrong_answers, int((wrong & ~inside).sum()), requests),
        *_faults("failed requests", errors, int((failed & ~inside).sum()), requests),
        *_late_sends((samples.sent_ns - samples.due_ns)[inside]),
        *_imbalance(throughput_rps, response_ns, clients),
    ]
    valid = not notes
    notes += _steadiness(samples.done_ns[good], begin, end)
    return WindowFigures(
        requests=requests,
        ok=ok,
        errors=errors,
        refused=refused,
        wrong_answers=wrong_answers,
        throughput_rps=throughput_rps,
        latency_ms=LatencyMs(
            quantile_ms(response_ns, 0.50), quantile_ms(response_ns, 0.95), quantile_ms(response_ns, 0.99)
        ),
        warnings=tuple(notes),
        valid=valid,
    )


def _faults(what: str, count: int, outside: int, requests: int) -> list[str]:
    """The reason that any fault gives not to believe a trial."""
    where = f" ({outside} of them outside the window)" if outside else ""
    return [f"{count} {what} of {requests} requests{where}: the trial is void"] if count else []


def _late_sends(lag_ns: NDArray[np.int64]) -> list[str]:
    """A reason where the driver itself held back more requests than can be ignored."""
    late = float(np.mean(lag_ns > LATE_SEND_NS)) if len(lag_ns) else 0.0
    if late <= LATE_SENDS_VOID:
        return []
    return [f"the driver was late: {late:.1%} of the requests were sent more than 10 ms after they were due"]


def _imbalance(throughput_rps: float, response_ns: NDArray[np.int64], clients: int | None) -> list[str]:
    """A reason where there was no right answer at all, or where the clients break Little's law."""
    if not len(response_ns):
        return ["no request was answered correctly in the window"]
    if clients is None:
        return []
    balance = throughput_rps * float(response_ns.mean()) / 1e9
    off = abs(balance - clients) / clients
    if off <= LITTLE_TOLERANCE:
        return []
    return [
        f"Little's law is off by {off:.1%}: throughput times mean response time gives {balance:.1f} "
        f"clients where {clients} were driven"
    ]


def _steadiness(done_ns: NDArray[np.int64], begin: int, end: int) -> list[str]:
    """A warning where the window's thirds differ by more than a tenth, and than chance explains."""
    counts, _ = np.histogram(done_ns, bins=3, range=(begin, end))
    least, most = int(counts.min()), int(counts.max())
    if most - least > max(STEADY_TOLERANCE * most, 3 * np.sqrt(2 * most)):
        thirds = " / ".join(str(int(count)) for count in counts)
        return [f"not steady: the window's thirds hold {thirds} answers; lengthen --warmup-s or --window-s"]
    return []
