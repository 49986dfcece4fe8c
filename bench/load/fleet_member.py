"""What a master knows of one of its workers."""

from dataclasses import dataclass, field

from gevent.queue import Queue

from bench.load.messages import Inbound, RoundTrip
from bench.load.trial_clock import Account


@dataclass(slots=True, eq=False)
class Member:
    """What the master knows of one worker; `counts` has an entry each TELL_EVERY_S."""

    id: str
    place: int
    prepared: bool = False
    before: RoundTrip | None = None
    after: RoundTrip | None = None
    counts: list[int] = field(default_factory=list)
    inbound: Inbound = field(default_factory=Inbound)
    pongs: Queue = field(default_factory=Queue)
    account: Account | None = None
    heard_s: float = 0.0

    @property
    def samples(self) -> bytes | None:
        """All that it recorded, None while that is not complete."""
        found = self.inbound.complete.get("samples")
        return found if self.account is not None else None

    @property
    def clock_error_ms(self) -> float:
        """How far its clock may have been from ours: the bound of the comparison, and the drift since."""
        trips = [trip for trip in (self.before, self.after) if trip is not None]
        drift_ns = abs(trips[-1].offset_ns - trips[0].offset_ns)
        return (max(trip.error_ns for trip in trips) + drift_ns) / 1e6
