"""What was measured beside the rounds: capacities, objectives, and the check of repeated payloads."""

from dataclasses import dataclass

from bench.analysis.summary import Summary
from bench.model import REPEAT_ALLOWED, Capacity, RepeatCheck, SloResult
from bench.statistics import Estimate


@dataclass(frozen=True, slots=True)
class CapacityCheck:
    """A capacity, which was measured before the rounds, and the throughput of the same load in the rounds."""

    capacity: Capacity
    in_rounds: Estimate | None

    @property
    def before_to_rounds(self) -> float | None:
        """The capacity as a multiple of the throughput in the rounds; None if the rounds have none."""
        if self.in_rounds is None or self.in_rounds.centre <= 0:
            return None
        return self.capacity.throughput_rps / self.in_rounds.centre


def check_capacity(summary: Summary, capacity: Capacity) -> CapacityCheck:
    """Look for the throughput in the rounds under the closed loop that measured the capacity."""
    measured = (
        capacity.strategy,
        capacity.payload_class,
        capacity.encoding,
        "closed",
        capacity.clients,
    )
    for (name, case), row in summary.rows.items():
        if (name, case.payload_class, case.encoding, case.kind, case.size) == measured:
            return CapacityCheck(capacity, row.estimates["throughput"])
    return CapacityCheck(capacity, None)


def share_held(result: SloResult) -> float | None:
    """The highest rate at which the objective held, as a share of capacity; None if it never held."""
    if result.rate_per_s is None or not result.capacity_rps:
        return None
    return result.rate_per_s / result.capacity_rps


def repeated_to_varied(check: RepeatCheck) -> float | None:
    """How many times as fast repeated payloads are answered; None if varied payloads have no rate."""
    return check.repeated_rps / check.varied_rps if check.varied_rps > 0 else None


def may_cache(check: RepeatCheck) -> bool:
    """Whether repeated payloads are answered much faster, as by a cache; true too if this is unknown."""
    ratio = repeated_to_varied(check)
    return ratio is None or ratio > REPEAT_ALLOWED
