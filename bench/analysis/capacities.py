"""The capacity that the rounds themselves show, beside the one measured before them."""

from bench.analysis.summary import Summary
from bench.model import Capacity
from bench.statistics import Estimate


def in_rounds(summary: Summary, capacity: Capacity) -> Estimate | None:
    """Throughput in the rounds under the closed loop that found the capacity; None where they had none."""
    for (name, case), row in summary.rows.items():
        offered = name, case.payload_class, case.encoding, case.kind, case.size
        if offered == (
            capacity.strategy,
            capacity.payload_class,
            capacity.encoding,
            "closed",
            capacity.clients,
        ):
            return row.estimates["throughput"]
    return None
