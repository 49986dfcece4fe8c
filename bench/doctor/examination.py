"""The examination: read the facts in an order in which none disturbs another, and judge them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cores import Cores
from bench.doctor.clock import judge_clock, read_clock
from bench.doctor.container import ContainerFacts, image_at_hand, judge_container, read_container
from bench.doctor.cores import judge_cores, judge_pinning, read_pinning, read_topology
from bench.doctor.disk import judge_disk, read_disk
from bench.doctor.driver import judge_driver, read_driver
from bench.doctor.engine import connect, judge_engine, read_engine
from bench.doctor.finding import Finding, unread
from bench.doctor.frequency import judge_frequency, read_frequency, throttle_count
from bench.doctor.kernel import Kernel
from bench.doctor.limits import judge_limits, judge_network, read_limits, read_network
from bench.doctor.memory import judge_memory, read_memory
from bench.doctor.noise import judge_beside, judge_noise, read_noise
from bench.doctor.sending import judge_sending, read_sending
from bench.errors import UsageError
from bench.measure.runtime.compose_program import MissingPartError
from bench.measure.runtime.registry import load_registry


@dataclass(frozen=True, slots=True)
class Effort:
    """How long the checks that take time may take."""

    send_s: float
    noise_s: float
    drive_s: float


QUICK = Effort(send_s=0.7, noise_s=1.2, drive_s=0.5)
FULL = Effort(send_s=3.0, noise_s=9.0, drive_s=1.0)


def examine(
    registry_root: Path, cores: Cores, quick: bool, kernel: Kernel | None = None
) -> tuple[Finding, ...]:
    """Check everything that may spoil a measurement, in about 20 s, or 5 s if `quick`.

    Raises nothing: a check that fails becomes a finding with the grade "unknown".
    """
    files, effort = kernel or Kernel(), QUICK if quick else FULL
    client, missing = _or_nothing(connect)
    throttled = throttle_count(files)
    checks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
        ("engine", lambda: judge_engine(read_engine(client) if client else None, missing=missing)),
        ("container", lambda: _container(client, registry_root, cores)),
        ("cores", lambda: judge_cores(cores, read_topology(files, cores.available))),
        ("pinning", lambda: [judge_pinning(read_pinning(files, cores.service))]),
        ("clock", lambda: judge_clock(read_clock(files))),
        ("sending", lambda: [judge_sending(read_sending(cores, effort.send_s))]),
        ("noise", lambda: _noise(cores, effort)),
        ("frequency", lambda: judge_frequency(read_frequency(files, cores.service[0], throttled))),
        ("driver", lambda: [judge_driver(read_driver(cores, effort.drive_s))]),
        ("memory", lambda: judge_memory(read_memory(files))),
        ("disk", lambda: judge_disk(read_disk(registry_root / "results", _engine_root(client)))),
        ("limits", lambda: judge_limits(read_limits(files))),
        ("network", lambda: judge_network(read_network(files))),
    )
    try:
        return tuple(finding for name, check in checks for finding in _safely(name, check))
    finally:
        if client is not None:
            client.close()


def _safely(name: str, check: Callable[[], Iterable[Finding]]) -> Iterable[Finding]:
    """The check's findings; if it fails, a finding that says so."""
    try:
        return tuple(check())
    except Exception as error:  # noqa: BLE001  # on an unknown system one check must not cost the others
        return (unread(name, f"could not be checked ({type(error).__name__})"),)


def _container(client: Any | None, root: Path, cores: Cores) -> Iterable[Finding]:
    if client is None:
        return judge_container(None, "no Docker engine answers")
    image = image_at_hand(client, _project(root))
    if image is None:
        return judge_container(None, "no image is at hand: build them with `docker compose build`")
    facts: ContainerFacts | None = read_container(client, image, cores.service)
    return judge_container(facts, "the engine did not run a container on the service's cores")


def _noise(cores: Cores, effort: Effort) -> Iterable[Finding]:
    noise, beside = read_noise(cores, effort.noise_s)
    # the cause before its effect: the verdict names the remedy of the first bad finding
    return *judge_beside(beside), judge_noise(noise)


def _project(root: Path) -> str | None:
    try:
        return load_registry(root).project
    except UsageError:
        return None


def _engine_root(client: Any | None) -> str | None:
    return None if client is None else read_engine(client).root


def _or_nothing(
    read: Callable[[], tuple[Any | None, MissingPartError | None]],
) -> tuple[Any | None, MissingPartError | None]:
    try:
        return read()
    except Exception:  # noqa: BLE001  # without the docker package or with a strange setting: no engine
        return None, None
