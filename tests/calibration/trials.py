"""What a trial of known truth is made of, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.load.launch import Driven
from bench.load.window import WindowFigures
from bench.model import Load
from tests.calibration.disturbance import Disturbance

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Driving:
    """One driver's part: its load, how long each payload asks to be served, and a seed.

    `in_flight` starves an open driver of connections, to show what that does; None leaves it as it is.
    """

    load: Load
    asked_ns: Sequence[int]
    seed: int = 1
    in_flight: int | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One truth server and all that drive it at once; `stall_s` is the length of its pause each 10 s."""

    drives: tuple[Driving, ...]
    one_at_a_time: bool = False
    stall_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Requests:
    """What driver and server say of the same requests, ordered by due; ns since the driver's start.

    `asked_ns` is the service time that the request asked for, `ended_ns` when the server meant to answer and
    `replied_ns` when it did.
    """

    asked_ns: Ints
    due_ns: Ints
    sent_ns: Ints
    arrived_ns: Ints
    begun_ns: Ints
    ended_ns: Ints
    replied_ns: Ints
    done_ns: Ints
    inside: NDArray[np.bool_]
    """Whether it was right and is the window's: by its end, or in an open load by when it was due."""

    @property
    def response_ms(self) -> Floats:
        """Due to done, as the driver has it."""
        return (self.done_ns - self.due_ns) / 1e6

    @property
    def late_ms(self) -> Floats:
        """How late the server was to answer, by its own log: the stub's fault and no part of the truth."""
        return (self.replied_ns - self.ended_ns) / 1e6

    @property
    def asked_ms(self) -> Floats:
        """The service time that was asked for."""
        return self.asked_ns / 1e6


@dataclass(frozen=True, slots=True)
class Trial:
    """One drive of known truth; `stalls_ns` are the server's pauses since the driver's start.

    `disturbance` says what else used the cores; `tries` is how often it was run until that was little.
    """

    load: Load
    requests: Requests
    driven: Driven
    figures: WindowFigures
    stalls_ns: tuple[tuple[int, int], ...]
    disturbance: Disturbance
    tries: int = 1

    @property
    def told(self) -> str:
        """How often it was run, and how disturbed the one was that is kept."""
        which = "the only try" if self.tries == 1 else f"the calmest of {self.tries} tries"
        return f"{which}: {self.disturbance}"
