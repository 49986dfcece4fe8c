"""What a request costs by stage, and what no stage times: HTTP, hand-offs between threads, waits unseen."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.analysis.costs import core_count
from bench.analysis.metrics import METRICS
from bench.analysis.summary import Row
from bench.model import Run

# stages in which a request waits, and nothing is computed for it
WAITS = ("wait", "queue")
# the stage whose time is a whole batch's
COMPUTED = "infer"


@dataclass(frozen=True, slots=True)
class StageCosts:
    """The times of a request in ms: of each stage its share, and what is left.

    `overhead_ms` is what no stage times: of the CPU time, or of the response time. None if nobody knows, or
    if the stages take longer together, as they time the wait for the processor too.
    """

    stages_ms: Mapping[str, float]
    overhead_ms: float | None


def work(run: Run, row: Row) -> StageCosts:
    """The work on one item, by stage, and the CPU time of a request beyond it.

    The items of a batch share its time, and waits are no work. What is beyond is known on one core alone: on
    several a stage uses more CPU time than it takes.
    """
    batch = row.estimates["batch"]
    items = batch.centre if batch is not None and batch.centre > 0 else 1.0
    stages = {
        stage: found.centre / items if stage == COMPUTED else found.centre
        for stage, found in row.stages.items()
        if stage not in WAITS
    }
    cpu = row.estimates["cpu"]
    one_core = core_count(run.environment.service_cores) == 1 and not run.strategies[row.strategy].attached
    whole = cpu.centre * METRICS["cpu"].scale if cpu is not None and one_core else None
    return StageCosts(stages, _beyond(whole, stages))


def response(row: Row) -> StageCosts:
    """The whole response time of a closed loop, by stage, and what of it no stage times.

    The mean response time is the clients over the throughput (Little's law). With many clients nearly all of
    it is the queue, and what is left over is noise: ask it of one client.
    """
    stages = {stage: found.centre for stage, found in row.stages.items()}
    rate = row.estimates["throughput"]
    known = rate is not None and rate.centre > 0 and row.case.kind == "closed"
    whole = 1000 * row.case.size / rate.centre if rate is not None and known else None
    return StageCosts(stages, _beyond(whole, stages))


def _beyond(whole_ms: float | None, stages: Mapping[str, float]) -> float | None:
    left = None if whole_ms is None or not stages else whole_ms - sum(stages.values())
    return left if left is not None and left > 0 else None
