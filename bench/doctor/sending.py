"""How late an open loop sends: the driver itself, against a target that answers at once."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.cores import Cores, pinned
from bench.doctor.finding import Finding, finding, graded, worst
from bench.errors import BenchError
from bench.load.ceiling import PATH, null_target
from bench.load.launch import Drive, Target
from bench.model import OpenLoad, Payload
from bench.model.expectations import LabelExpectation

RATE_PER_S = 1000.0
WARMUP_S = 0.3
MEDIAN_MS = (0.1, 1.0)
# a request counts as late that is sent 10 ms after it was due; one in a hundred voids a trial
P99_MS = (0.5, 10.0)
ANSWER = b'{"prediction": "rime", "probabilities": {"rime": 1.0}}'


@dataclass(frozen=True, slots=True)
class SendingFacts:
    """By how many milliseconds requests were sent after they were due; None if the drive failed."""

    median_ms: float | None
    p99_ms: float | None
    why_not: str = ""


def read_sending(cores: Cores, window_s: float, rate_per_s: float = RATE_PER_S) -> SendingFacts:
    """Offer the null target an open load of small bodies, on the driver's cores."""
    body = b'{"image":"' + b"A" * 3000 + b'"}'
    payload = Payload(
        "made-up", "made-up", "json", "application/json", body, LabelExpectation("rime", {"rime": 1.0})
    )
    load = OpenLoad(rate_per_s, WARMUP_S, window_s, drain_s=5.0, timeout_s=5.0)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-doctor-") as folder,
            pinned(cores.driver),
            null_target(ANSWER, Path(folder), cores.service) as port,
        ):
            drive = Drive(Target("127.0.0.1", port, PATH), [payload], load, 1, Path(folder))
            try:
                samples = drive.finish().samples
            finally:
                drive.close()
    except BenchError as error:
        return SendingFacts(None, None, str(error))
    lag_ms = (samples.sent_ns - samples.due_ns)[samples.due_ns >= WARMUP_S * 1e9] / 1e6
    if not len(lag_ms):
        return SendingFacts(None, None, "nothing was sent")
    return SendingFacts(float(np.median(lag_ms)), float(np.quantile(lag_ms, 0.99, method="inverted_cdf")))


def judge_sending(facts: SendingFacts) -> Finding:
    """The finding `sending`: how near to its schedule an open loop sends here."""
    remedy = "let nothing else use the driver's core; in a virtual machine, give it cores of its own"
    if facts.median_ms is None or facts.p99_ms is None:
        return Finding("sending", "bad", f"the null target could not be driven: {facts.why_not}", remedy)
    what = (
        f"an open loop of {RATE_PER_S:.0f} requests/s sends {facts.median_ms:.3f} ms after they are due in "
        f"the median, {facts.p99_ms:.2f} ms at p99"
    )
    grade = worst(graded(facts.median_ms, *MEDIAN_MS), graded(facts.p99_ms, *P99_MS))
    return finding("sending", grade, what, remedy)
