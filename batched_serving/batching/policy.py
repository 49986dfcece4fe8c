"""The rules of a batcher."""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Policy:
    """How items are gathered, and how many may wait.

    At most `max_batch` items are computed together, and `in_flight` batches at once. `max_items` and
    `max_bytes` bound what waits; one item is let in whatever its size where nothing waits.

    An engine with nothing to do takes what is there at once, unless a batch that is not full may wait:
    `max_wait_s` from the arrival of the oldest item that waits, and never so long that it costs a deadline.
    With `spread`, what waits is shared out among the batches that could be computed now, as befits cores;
    without, or where batches may wait to fill, each takes all it may, as befits one device.

    Raises ValueError where a number makes no sense.
    """

    max_batch: int = 16
    in_flight: int = 1
    max_items: int = 256
    max_bytes: float = inf
    max_wait_s: float = 0.0
    spread: bool = False

    def __post_init__(self) -> None:
        if min(self.max_batch, self.in_flight, self.max_items) < 1:
            raise ValueError("max_batch, in_flight and max_items must be 1 or more")
        if not (self.max_bytes > 0 and self.max_wait_s >= 0):
            raise ValueError("max_bytes must be above 0, max_wait_s must be 0 or more")
