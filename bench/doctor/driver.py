"""The driver's ceiling: what it reaches against a target that answers at once."""

from dataclasses import dataclass

from bench.cores import Cores, pinned
from bench.doctor.finding import Finding, finding, graded_least
from bench.errors import BenchError
from bench.load.ceiling import measure_ceiling
from bench.model import ClosedLoad, Payload
from bench.model.expectations import LabelExpectation

CLIENTS = 50
WARMUP_S = 0.3
# a JSON body of a photograph
BODY_BYTES = 400_000
MADE_UP = LabelExpectation("rime", {"rime": 1.0})
RATE = (1000.0, 200.0)


@dataclass(frozen=True, slots=True)
class DriverFacts:
    """The ceiling in requests/s and the driver's CPU milliseconds for a request; None if the drive failed."""

    rate_per_s: float | None
    cpu_ms: float | None
    why_not: str = ""


def read_driver(cores: Cores, window_s: float) -> DriverFacts:
    """Drive the null target with made-up bodies."""
    body = b'{"image":"' + b"A" * BODY_BYTES + b'"}'
    payloads = [
        Payload(f"made-up-{n}", "made-up", "json", "application/json", body, MADE_UP) for n in range(4)
    ]
    load = ClosedLoad(CLIENTS, WARMUP_S, window_s, drain_s=5.0, timeout_s=5.0)
    try:
        with pinned(cores.driver):
            found = measure_ceiling(payloads, load, cores.service, 1)
    except BenchError as error:
        return DriverFacts(None, None, str(error))
    return DriverFacts(found.throughput_rps, found.driver_cpu_ms_per_request)


def judge_driver(facts: DriverFacts) -> Finding:
    """The finding `driver`: a strategy above half of the ceiling is flagged."""
    name, remedy = "driver", "give it more cores (--driver-cores, --workers), or stop what runs beside"
    if facts.rate_per_s is None or facts.cpu_ms is None:
        return Finding(name, "bad", f"the null target could not be driven: {facts.why_not}", remedy)
    what = (
        f"{facts.rate_per_s:.0f} requests/s of {BODY_BYTES // 1000} KB at most, {facts.cpu_ms:.2f} CPU-ms "
        f"each: a strategy above {facts.rate_per_s / 2:.0f} is flagged"
    )
    return finding(name, graded_least(facts.rate_per_s, *RATE), what, remedy)
