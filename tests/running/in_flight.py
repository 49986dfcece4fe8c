"""How many requests were under way at once, by the samples of a driver."""

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]


def most_in_flight(sent_ns: Times, done_ns: Times, from_ns: int = 0) -> int:
    """Return the most requests that were under way as one was sent, that one included.

    Only what was sent from this instant on is looked at. A busy machine delays what a client sends next, and
    so lowers how many are under way on average, but takes no client away.
    """
    at = np.sort(sent_ns[sent_ns >= from_ns])
    under_way = np.searchsorted(np.sort(sent_ns), at, "right") - np.searchsorted(
        np.sort(done_ns), at, "right"
    )
    return int(under_way.max(initial=0))
