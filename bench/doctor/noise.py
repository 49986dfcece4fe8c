"""Noise: a fixed piece of work over and over on the service's core, and what else ran meanwhile."""

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from bench.cores import Cores, pinned
from bench.doctor.finding import Finding, finding, graded, unread, worst
from bench.measure.machine.fingerprint import steal_ticks
from bench.statistics import paired_ratio

ROUNDS = 6
PIECE_S = 0.005
# more than a core's own caches hold
BLOCK_BYTES = 4 * 1024 * 1024
EFFECT = (0.03, 0.10)
VARIATION = (0.10, 0.50)
# as a trial is judged
STOLEN = (0.01, 0.05)
OTHERS_ON_SERVICE = (0.02, 0.10)
OTHERS_EVERYWHERE = 0.25
BUSY_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class NoiseFacts:
    """How long each piece of equal work took, in seconds, in twelve blocks in turn for an A and a B."""

    blocks: tuple[tuple[float, ...], ...]

    @property
    def variation(self) -> float:
        """The coefficient of variation over all pieces."""
        pieces = np.concatenate([np.asarray(block) for block in self.blocks])
        return float(pieces.std(ddof=1) / pieces.mean())

    @property
    def worst_to_median(self) -> float:
        """The slowest piece over the median one."""
        pieces = np.concatenate([np.asarray(block) for block in self.blocks])
        return float(pieces.max() / np.median(pieces))

    @property
    def detectable(self) -> float | None:
        """The least relative difference that six such rounds find, A against A."""
        times = [sum(block) / len(block) for block in self.blocks]
        found = paired_ratio(dict(enumerate(times[::2])), dict(enumerate(times[1::2])))
        return found.minimal_detectable_effect if found else None


@dataclass(frozen=True, slots=True)
class BesideFacts:
    """What ran beside the work: shares of the service's cores that the host and that others took.

    `others_cores` is in cores of the whole machine, `busy` counts the processes above 5% of a core. Shares
    are None if unknown.
    """

    stolen: float | None
    others_on_service: float | None
    others_cores: float
    cores: int
    busy: int
    load_average: float | None


def read_noise(cores: Cores, seconds: float) -> tuple[NoiseFacts, BesideFacts]:
    """Work for some seconds on the first core of the service."""
    core = cores.service[:1]
    with pinned(core):
        work = _Work()
        before = _Snapshot(core)
        own = time.thread_time()
        blocks = tuple(work.block(seconds / (2 * ROUNDS)) for _ in range(2 * ROUNDS))
        own = time.thread_time() - own
        beside = before.until_now(own)
    return NoiseFacts(blocks), beside


class _Work:
    """A piece of equal work: it hashes a block repeatedly, for some milliseconds."""

    def __init__(self) -> None:
        self._block = bytes(BLOCK_BYTES)
        self._times = 1
        self._once()
        taken = min(self._once() for _ in range(5))
        self._block = self._block[: max(64 * 1024, int(len(self._block) * min(1.0, PIECE_S / taken)))]
        self._times = max(1, round(PIECE_S / taken))

    def block(self, seconds: float) -> tuple[float, ...]:
        """How long each piece took, for about `seconds`, and at least two pieces."""
        end = time.perf_counter() + seconds
        taken = [self._once(), self._once()]
        while time.perf_counter() < end:
            taken.append(self._once())
        return tuple(taken)

    def _once(self) -> float:
        begin = time.perf_counter()
        for _ in range(self._times):
            hashlib.sha256(self._block).digest()
        return time.perf_counter() - begin


class _Snapshot:
    """The machine's accounts at one instant."""

    def __init__(self, core: tuple[int, ...]) -> None:
        self._core = core
        # reading all processes takes time, so the accounts of the cores are read after it
        self._processes = _process_times()
        self._steal, self._all = steal_ticks(core), psutil.cpu_times(percpu=True)
        self._own, self._begin = time.process_time(), time.monotonic()

    def until_now(self, thread_s: float) -> BesideFacts:
        """What others did since; our thread used `thread_s` CPU seconds on the core meanwhile."""
        passed = time.monotonic() - self._begin
        own = time.process_time() - self._own
        busy_s = [_busy(now) - _busy(then) for then, now in zip(self._all, _now(), strict=True)]
        stolen, ticks = (now - then for then, now in zip(self._steal, steal_ticks(self._core), strict=True))
        on_core = None
        if ticks and self._core[0] < len(busy_s):
            on_core = max(0.0, busy_s[self._core[0]] - thread_s) / passed
        later = _process_times()
        shares = [(later[pid] - self._processes.get(pid, later[pid])) / passed for pid in later]
        return BesideFacts(
            stolen=stolen / ticks if ticks else None,
            others_on_service=on_core,
            others_cores=max(0.0, sum(busy_s) - own) / passed,
            cores=len(busy_s),
            busy=sum(share > BUSY_SHARE for share in shares),
            load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        )


def judge_noise(facts: NoiseFacts) -> Finding:
    """The finding `noise`: what the spread of equal work means for six rounds."""
    detectable = facts.detectable
    if detectable is None:
        return unread("noise", "the pieces of work were too few to say")
    what = (
        f"equal work varies by {facts.variation:.1%} (worst {facts.worst_to_median:.2f} times the median): "
        f"with six rounds the detectable change is {detectable:.1%} at best; a service adds its own noise"
    )
    grade = worst(graded(detectable, *EFFECT), graded(facts.variation, *VARIATION))
    return finding("noise", grade, what, "stop what runs beside, or measure on a quieter machine")


def judge_beside(facts: BesideFacts) -> tuple[Finding, ...]:
    """The findings `stolen time` and `beside us`."""
    return _stolen(facts.stolen), _others(facts)


def _stolen(stolen: float | None) -> Finding:
    if stolen is None:
        return unread("stolen time", "how much time the host takes cannot be read")
    what = f"the host took {stolen:.1%} of the service core's time"
    remedy = "measure on a host with cores of your own; a trial with more than 5% is void"
    return finding("stolen time", graded(stolen, *STOLEN), what, remedy)


def _others(facts: BesideFacts) -> Finding:
    what = f"others used {facts.others_cores:.2f} of {facts.cores} cores"
    grades = [graded(facts.others_cores / facts.cores, OTHERS_EVERYWHERE, 1.0)]
    if facts.others_on_service is not None:
        what += f", {facts.others_on_service:.1%} of the service's"
        grades.append(graded(facts.others_on_service, *OTHERS_ON_SERVICE))
    what += f"; {_count(facts.busy, 'process', 'processes')} above {BUSY_SHARE:.0%}"
    if facts.load_average is not None:
        what += f", load average {facts.load_average:.1f}"
    return finding("beside us", worst(*grades), what, "stop other work on this machine while it measures")


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _now() -> Sequence[object]:
    return psutil.cpu_times(percpu=True)


def _busy(times: object) -> float:
    """CPU seconds of a core that were someone's work; user and nice hold a guest's already."""
    names = ("user", "nice", "system", "irq", "softirq")
    return sum(float(getattr(times, name, 0.0)) for name in names)


def _process_times() -> dict[int, float]:
    """CPU seconds of every other process that we may see."""
    found = {}
    for process in psutil.process_iter():
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        found[process.pid] = times.user + times.system
    found.pop(os.getpid(), None)
    return found
