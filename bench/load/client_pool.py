"""The clients of an open load, and from when on one of them was free for a request."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.load.drive_plan import PAUSE_S
from bench.load.samples import Samples
from bench.model import OUTCOMES

# after these a client pauses before it takes the next request
PAUSED = tuple(OUTCOMES.index(name) for name in ("connection_error", "timeout", "unfinished"))


@dataclass(frozen=True, slots=True)
class ClientPool:
    """So many clients of an open load, dealt out in turn to so many processes, as its requests are."""

    clients: int
    workers: int = 1

    def ready_ns(self, samples: Samples) -> NDArray[np.int64]:
        """Return when each request could be sent: when it came due, or later if all clients were busy then.

        A process gives its requests to its clients in the order in which they come due. If it has K clients,
        its n-th request can thus be sent as soon as n - K of its requests have ended, whichever they are.
        """
        ready = samples.due_ns.copy()
        freed = samples.done_ns + int(PAUSE_S * 1e9) * np.isin(samples.outcome, PAUSED)
        by_due = np.argsort(samples.due_ns, kind="stable")
        for place in range(self.workers):
            mine, clients = by_due[place :: self.workers], len(range(place, self.clients, self.workers))
            behind = mine[clients:]
            ready[behind] = np.maximum(ready[behind], np.sort(freed[mine])[: len(behind)])
        return ready
