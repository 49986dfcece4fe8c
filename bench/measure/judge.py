"""From what was recorded to a trial's figures, with every reason not to believe them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from bench.cores import Cores
from bench.load.client_pool import ClientPool
from bench.load.drive_plan import DriveSummary
from bench.load.launch import Driven, Fleet
from bench.load.samples import Samples
from bench.load.window import Bounds, WindowFigures, summarise, window_ns
from bench.load.window_bias import warming_doubts, window_bias
from bench.measure.machine.core_use import CoreUse
from bench.measure.machine.usage import Usage, peak_memory_bytes, resource_figures
from bench.model import (
    ARRIVALS,
    USUAL_TOLERANCE,
    Cause,
    Ceiling,
    ClassFigures,
    ClosedLoad,
    Doubt,
    DriverFigures,
    GpuFigures,
    LatencyMs,
    Load,
    OpenLoad,
    Payload,
    ServerFigures,
    Strategy,
    Trial,
)

STEAL_WARNS, STEAL_VOIDS = 0.01, 0.05
CEILING_SHARE = 0.5
BUSY_DRIVER = 0.9
OTHERS_WARN = 0.02
CLOCKS_APART_MS = 1.0
CUT = Doubt(
    "interrupted",
    "it was interrupted before its window ended: its samples are kept, no figure is made of them",
    "go on with --resume",
    voids=True,
    cause="harness",
)


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """What one trial is to measure."""

    strategy: Strategy
    round: int
    payloads: tuple[Payload, ...]
    load: Load
    seed: int
    cores: Cores
    ceiling: Ceiling | None
    fleet: Fleet = field(default_factory=Fleet)
    bounds: Bounds = field(default_factory=Bounds)
    again: bool = False
    """Whether it is made a second time in its round."""
    window_most_s: float | None = None
    """How long its window may last if it needs that for a p99; None if it is as long as the load says."""
    window_least_s: float | None = None
    """How long the shortest window is that it is compared with; None if it is as long as the load says."""

    @property
    def shortest_window_s(self) -> float:
        """How much of its window is compared by what more samples alone would raise."""
        return self.load.window_s if self.window_least_s is None else self.window_least_s

    @property
    def payload_class(self) -> str:
        """The class that all payloads of the trial belong to."""
        return self.payloads[0].payload_class

    @property
    def encoding(self) -> str:
        """The encoding of all payloads of the trial."""
        return self.payloads[0].encoding

    def name(self) -> str:
        """A name that no other trial of the run has."""
        what = f"{self.strategy.name}-{self.payload_class}-{self.encoding}"
        return f"{what}-{self.load.name}-r{self.round:02d}{'-again' if self.again else ''}"


def tolerance_of(strategy: Strategy) -> float:
    """How far each probability of a right answer of this strategy may be from the reference's."""
    return USUAL_TOLERANCE if strategy.tolerance is None else strategy.tolerance


@dataclass(frozen=True, slots=True)
class Readings:
    """The container's accounting at the window's ends and between, stolen time, and who used the cores."""

    usages: tuple[Usage, ...]
    stolen_share: float | None
    server: ServerFigures | None = None
    gpu: GpuFigures | None = None
    cores: CoreUse | None = None


def failed_trial(spec: TrialSpec, error: Doubt, samples: str | None = None) -> Trial:
    """The trial of a strategy that could not be measured, or not to the end: it has no figures."""
    return Trial(
        **_identity(spec, spec.load.warmup_s, spec.load.window_s),
        requests=0,
        ok=0,
        errors=0,
        wrong_answers=0,
        throughput_rps=None,
        latency_ms=LatencyMs(None, None, None),
        cpu_ms_per_request=None,
        peak_memory_bytes=None,
        driver_cpu_ms_per_request=None,
        doubts=(),
        valid=False,
        samples=samples,
        error=error,
    )


def start_failed(text: str, *, voids: bool = True) -> Doubt:
    """The doubt that a service did not start, for the reason in `text`."""
    return Doubt("start_failed", text, "see the service's log", voids=voids, cause="service")


def judge(
    spec: TrialSpec,
    driven: Driven,
    readings: Readings | None,
    fate: Sequence[Doubt],
    samples: str,
    start_ns: int,
) -> Trial:
    """Reduce what was recorded to the trial's figures, with every reason not to believe them."""
    load, driver = spec.load, driven.summary
    clients = load.clients if isinstance(load, ClosedLoad) else None
    scheduled = _scheduled(spec, driver)
    begin_s, window_s = driver.window_begin_s, driver.window_s
    pool = None if driver.clients is None else ClientPool(driver.clients, driver.workers)
    figures = summarise(
        driven.samples, clients, begin_s, window_s, spec.bounds, scheduled=scheduled, pool=pool
    )
    bias = window_bias(driven.samples, clients is not None, begin_s, window_s)
    ended_at_most = _cut_off(load, begin_s)
    warming = warming_doubts(bias, closed=clients is not None, ended_at_most=ended_at_most)
    spoiled, doubtful = _held_against(spec, driver, readings, fate, figures, list(warming))
    busy_core = _busy_core(readings)
    return Trial(
        **_identity(spec, driver.window_begin_s, driver.window_s),
        requests=figures.requests,
        ok=figures.ok,
        errors=figures.errors,
        wrong_answers=figures.wrong_answers,
        throughput_rps=round(figures.throughput_rps, 3),
        latency_ms=figures.latency_ms,
        cpu_ms_per_request=_cpu_ms(driven.samples, readings, start_ns),
        peak_memory_bytes=_peak_memory(spec, readings, window_s),
        driver_cpu_ms_per_request=(
            round(1e3 * driver.cpu_s / driver.requests, 4) if driver.requests else None
        ),
        doubts=(*figures.doubts, *spoiled, *doubtful),
        valid=figures.valid and not spoiled,
        samples=samples,
        refused=figures.refused,
        server=readings.server if readings else None,
        service_ms=figures.service_ms,
        counted_by=figures.counted_by,
        with_failures_ms=figures.with_failures_ms,
        errors_outside=figures.errors_outside,
        wrong_answers_outside=figures.wrong_answers_outside,
        warmup_bias=None if bias is None else round(bias.bias.most, 4),
        driver=_driver_figures(driver, figures, busy_core),
        by_class=_by_class(spec, driven, clients),
        resources=(
            resource_figures(readings.usages, readings.stolen_share, readings.gpu, readings.cores)
            if readings
            else None
        ),
    )


def _held_against(
    spec: TrialSpec,
    driver: DriveSummary,
    readings: Readings | None,
    fate: Sequence[Doubt],
    figures: WindowFigures,
    warming: list[Doubt],
) -> tuple[list[Doubt], list[Doubt]]:
    """What voids the trial and what makes it doubtful, beside what its samples show."""
    # what is not known of a service that runs elsewhere is said once, for the whole run
    elsewhere = spec.strategy.attachment is not None and not _seen(readings)
    others = _other_cpu(readings, spec.bounds.other_cpu, elsewhere=elsewhere)
    if spec.strategy.attachment is not None and not others:
        others = _perhaps_in_the_way(readings, spec.bounds.other_cpu)
    if any(one.code == "overloaded" for one in figures.doubts):
        # its queue grows however long the warm-up is
        warming = []
    spoiled = [*fate, *_resource_faults(readings, fate), *_driver_faults(driver)]
    spoiled += [one for one in (*others, *warming) if one.voids]
    doubtful = [*_ceiling_doubts(spec, figures, driver), *_busy_driver(driver, _busy_core(readings))]
    doubtful += [] if elsewhere else _steal_doubts(readings)
    doubtful += [*_lost_cpu(readings), *_no_cpu_seen(readings, figures), *_memory_repeated(readings)]
    doubtful += [one for one in (*others, *warming) if not one.voids]
    return spoiled, doubtful


def _peak_memory(spec: TrialSpec, readings: Readings | None, window_s: float) -> int | None:
    """The most in use: in a window that lasts longer than others, within as much of it as the others have."""
    if readings is None:
        return None
    least_s = spec.shortest_window_s
    return peak_memory_bytes(readings.usages, least_s if window_s > least_s else math.inf)


def _busy_core(readings: Readings | None) -> float | None:
    return readings.cores.driver_core if readings and readings.cores else None


def _by_class(spec: TrialSpec, driven: Driven, clients: int | None) -> tuple[ClassFigures, ...]:
    """What the window shows of each class of a mix; empty if there is one class alone."""
    classes = dict.fromkeys(one.mixed_from for one in spec.payloads if one.mixed_from)
    own = np.array([one.mixed_from for one in spec.payloads])
    samples, window = driven.samples, driven.summary
    found = []
    for name in classes:
        of_class = samples.where(own[samples.payload] == name)
        figures = summarise(of_class, clients, window.window_begin_s, window.window_s, spec.bounds)
        found.append(
            ClassFigures(
                name,
                figures.requests,
                figures.ok,
                figures.errors,
                figures.wrong_answers,
                round(figures.throughput_rps, 3),
                figures.latency_ms,
            )
        )
    return tuple(found)


def _cut_off(load: Load, begin_s: float) -> bool:
    """Whether the warm-up went on, for a trend that it saw, until it had to end."""
    return load.warmup_most_s is not None and load.warmup_s < load.warmup_most_s <= begin_s


def _scheduled(spec: TrialSpec, driver: DriveSummary) -> int | None:
    """How many requests of an open load were to come due in the window: what is missing was lost unseen."""
    load = spec.load
    if isinstance(load, ClosedLoad):
        return None
    begin_ns, end_ns = window_ns(driver.window_begin_s, driver.window_s)
    due_ns = np.asarray(ARRIVALS[load.arrivals].due_ns(load.rate_per_s, end_ns / 1e9 + 1.0, spec.seed))
    return int(np.sum((due_ns >= begin_ns) & (due_ns < end_ns)))


def _identity(spec: TrialSpec, warmup_s: float, window_s: float) -> dict[str, Any]:
    load = spec.load
    if isinstance(load, OpenLoad):
        # its schedule can be computed again
        load = msgspec.structs.replace(load, seed=spec.seed)
    return {
        "strategy": spec.strategy.name,
        "round": spec.round,
        "payload_class": spec.payload_class,
        "encoding": spec.encoding,
        "load": load,
        "window_s": window_s,
        "warmup_s": warmup_s,
    }


def _driver_figures(driver: DriveSummary, figures: WindowFigures, busy_core: float | None) -> DriverFigures:
    return DriverFigures(
        workers=driver.workers,
        lost_workers=driver.lost_workers,
        busiest_core=driver.busiest_core,
        late_sends=figures.late_sends,
        lag_p99_ms=figures.lag_p99_ms,
        clock_error_ms=driver.clock_error_ms,
        lag_p50_ms=figures.lag_p50_ms,
        core_busy=busy_core,
    )


def _resource_faults(readings: Readings | None, fate: Sequence[Doubt]) -> list[Doubt]:
    """What the container's accounting and the host's say against a trial."""
    if readings is None or len(readings.usages) < 2:
        unread = "the service's accounting could not be read: no CPU and memory figures"
        # a container that has ended has no accounting any more
        cause: Cause = fate[0].cause if fate else "host"
        return [Doubt("accounting_unread", unread, "see why the service ended", voids=True, cause=cause)]
    found = []
    before, after = readings.usages[0].throttled, readings.usages[-1].throttled
    throttled = None if before is None or after is None else after - before
    if throttled:
        held_back = f"the kernel throttled the container in {throttled} periods"
        found.append(Doubt("throttled", held_back, "lift its CPU limit", voids=True, cause="host"))
    if readings.stolen_share is not None and readings.stolen_share > STEAL_VOIDS:
        found.append(_stolen(readings.stolen_share, voids=True))
    return found


def _steal_doubts(readings: Readings | None) -> list[Doubt]:
    if readings is None:
        return []
    if readings.stolen_share is None:
        unknown = "whether the host stole time of the service core is not told here"
        remedy = "`python -m bench doctor` says what this machine tells"
        return [Doubt("stolen_unknown", unknown, remedy, voids=False, cause="host")]
    if not STEAL_WARNS < readings.stolen_share <= STEAL_VOIDS:
        return []
    return [_stolen(readings.stolen_share, voids=False)]


def _stolen(share: float, *, voids: bool) -> Doubt:
    text = f"the host stole {share:.1%} of the service core's time"
    return Doubt("stolen", text, "measure on a quieter host", voids=voids, cause="host")


def _driver_faults(driver: DriveSummary) -> list[Doubt]:
    """What makes the load another than the one that was planned."""
    if not driver.lost_workers:
        return []
    text = (
        f"{driver.lost_workers} of {driver.workers} driver workers were lost: the load was smaller than it "
        "should have been"
    )
    remedy = "see why those workers ended, and measure again"
    return [Doubt("workers_lost", text, remedy, voids=True, cause="driver")]


def _ceiling_doubts(spec: TrialSpec, figures: WindowFigures, driver: DriveSummary) -> list[Doubt]:
    """Signs that the driver, and not the service, is what was measured."""
    found = []
    if spec.ceiling and figures.throughput_rps > CEILING_SHARE * spec.ceiling.throughput_rps:
        reached = (
            f"the driver itself reaches {spec.ceiling.throughput_rps:.0f} requests/s at most: "
            "more than half of that was measured, so the driver may be the limit"
        )
        found.append(driver_may_limit(reached))
    if driver.clock_error_ms is not None and driver.clock_error_ms > CLOCKS_APART_MS:
        apart = (
            f"the workers' clocks may be {driver.clock_error_ms:.1f} ms apart: when requests came due, and "
            "which of them the window holds, is uncertain by that much"
        )
        remedy = "synchronise the hosts' clocks, or drive from one host"
        found.append(Doubt("clocks_apart", apart, remedy, voids=False, cause="driver"))
    return found


def _busy_driver(driver: DriveSummary, busy_core: float | None) -> list[Doubt]:
    """A doubt if a core of the driver had hardly any time left, or if a process elsewhere used all of its."""
    if busy_core is not None and busy_core > BUSY_DRIVER:
        busy = f"a core of the driver was busy for {busy_core:.0%} of the window"
    elif driver.busiest_core is not None and driver.busiest_core > BUSY_DRIVER:
        busy = f"a driver process used {driver.busiest_core:.0%} of its core"
    else:
        return []
    remedy = "give it more cores with --driver-cores, and --workers for them"
    return [Doubt("driver_busy", busy, remedy, voids=False, cause="driver")]


def _seen(readings: Readings | None) -> bool:
    """Whether it is known on which cores of this machine the service runs."""
    return bool(readings and readings.cores and readings.cores.other_on_service is not None)


def _other_cpu(readings: Readings | None, bound: float, *, elsewhere: bool = False) -> list[Doubt]:
    """What processes beside service and bench used of the cores, if more than a little, or not known.

    If the service runs `elsewhere`, or nobody knows where, it may itself be what uses the driver's cores.
    """
    if readings is None:
        return []
    if elsewhere:
        return _beside_the_driver(readings, bound)
    cores = readings.cores or CoreUse(None, None, None)
    shares = {"service": cores.other_on_service, "driver": cores.other_on_driver}
    found, unknown = [], [name for name, share in shares.items() if share is None]
    for name, share in shares.items():
        if share is not None and share > min(OTHERS_WARN, bound):
            text = f"other processes used {share:.1%} of the time of the {name}'s cores"
            allowed = f"at most {bound:.1%} may be: --max-other-cpu" if share > bound else ""
            text += f" ({allowed})" if allowed else ""
            remedy = "stop what runs beside, and measure again"
            found.append(Doubt("other_cpu", text, remedy, voids=share > bound, cause="host"))
    if unknown:
        text = f"whether other processes used the cores of the {' and the '.join(unknown)} is not told here"
        remedy = "`python -m bench doctor` says what this machine tells"
        found.append(Doubt("other_cpu_unknown", text, remedy, voids=False, cause="host"))
    return found


def _perhaps_in_the_way(readings: Readings | None, bound: float) -> list[Doubt]:
    """What others used of many cores, which may have been the few that a service used that is not pinned.

    Nobody knows on which of its cores it ran, and the kernel moves it away from others: no trial is void.
    """
    worst = readings.cores.at_worst if readings and readings.cores else None
    if worst is None or worst <= bound:
        return []
    text = f"other processes used up to {worst:.1%} of the time of as many cores as the service used"
    remedy = (
        "keep it to cores of its own (`taskset -acp`, `docker update --cpuset-cpus`): see --max-other-cpu"
    )
    return [Doubt("other_cpu", text, remedy, voids=False, cause="host")]


def _beside_the_driver(readings: Readings, bound: float) -> list[Doubt]:
    """What uses the driver's cores beside bench, which may be the service: it makes no trial void."""
    share = readings.cores.other_on_driver if readings.cores else None
    if share is None or share <= min(OTHERS_WARN, bound):
        return []
    text = f"other processes, perhaps the service's own, used {share:.1%} of the time of the driver's cores"
    remedy = "stop what runs beside, or name the service's process with --pid"
    return [Doubt("other_cpu", text, remedy, voids=False, cause="host")]


def _lost_cpu(readings: Readings | None) -> list[Doubt]:
    """A doubt if processes of the service may have ended without a trace of their CPU time."""
    if readings is None or all(usage.children_counted for usage in readings.usages):
        return []
    text = "the CPU time of the service's child processes that have ended is not known: it may use more"
    remedy = "measure it in a container, or where bench may make control groups"
    return [Doubt("children_cpu_unknown", text, remedy, voids=False, cause="host")]


def _unseen(first: Usage, last: Usage) -> bool:
    """Whether the account has no CPU time between two readings: no service answers without any."""
    return first.cpu_ns is not None and last.cpu_ns is not None and last.cpu_ns <= first.cpu_ns


def _no_cpu_seen(readings: Readings | None, figures: WindowFigures) -> list[Doubt]:
    """A doubt if requests were answered and the account has no CPU time of that."""
    if readings is None or not figures.ok or not _unseen(readings.usages[0], readings.usages[-1]):
        return []
    text = f"no CPU time of the service was seen while it answered {figures.ok} requests"
    remedy = "see that --pid or --container names the service, or measure longer with --window-s"
    return [Doubt("cpu_unseen", text, remedy, voids=False, cause="harness")]


def _memory_repeated(readings: Readings | None) -> list[Doubt]:
    """A doubt if what several processes of the service share may count in the memory of each of them."""
    if readings is None or all(usage.shared_once for usage in readings.usages):
        return []
    text = "pages that the service's processes share may count several times: their shares cannot be read"
    remedy = "measure it in a container, or as the user whose processes they are"
    return [Doubt("memory_repeated", text, remedy, voids=False, cause="host")]


def driver_may_limit(text: str) -> Doubt:
    """The doubt that the figures are the driver's and not the service's, for the reason in `text`."""
    remedy = "lower --concurrency, or give the driver more: --workers, --driver-cores"
    return Doubt("driver_may_limit", text, remedy, voids=False, cause="driver")


def _cpu_ms(samples: Samples, readings: Readings | None, start_ns: int) -> float | None:
    """CPU milliseconds of the container per request answered between the first and the last reading."""
    if readings is None or len(readings.usages) < 2:
        return None
    first, last = readings.usages[0], readings.usages[-1]
    ended = samples.done_ns + start_ns
    answered = int(np.sum((ended >= first.at_ns) & (ended < last.at_ns) & (samples.status > 0)))
    if first.cpu_ns is None or last.cpu_ns is None or not answered or _unseen(first, last):
        return None
    return round((last.cpu_ns - first.cpu_ns) / 1e6 / answered, 4)
