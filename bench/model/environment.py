"""What a run was made on and with: the machine, the code, the versions, the engine and the settings.

A fact that could not be learned is None. One that nobody asked for is unset, as many are in older runs: it is
neither written nor shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msgspec import UNSET, UnsetType, to_builtins

Text = str | UnsetType | None
Flag = bool | UnsetType | None
Number = float | UnsetType | None
Count = int | UnsetType | None
Texts = tuple[str, ...] | UnsetType
Numbers = tuple[float, ...] | UnsetType


@dataclass(frozen=True, slots=True)
class FaultBounds:
    """The shares of requests that may fail or be answered wrongly, and of the cores that others may use."""

    errors: float
    wrong_answers: float
    other_cpu: Number = UNSET


@dataclass(frozen=True, slots=True)
class OtherCommit:
    """The commit that this one is compared with: as the user named it, and its number.

    `only_head` names the strategies that it lacks.
    """

    base: str
    commit: str
    only_head: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PayloadSizes:
    """How many bytes the files of a class have, before any encoding, and whether all of them are pictures."""

    least: int
    median: int
    most: int
    pictures: bool


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a run was measured; `payloads` holds the files of each class."""

    rounds: Count = UNSET
    side_by_side: OtherCommit | UnsetType = UNSET
    clients: tuple[int, ...] | UnsetType = UNSET
    rates_per_s: Numbers = UNSET
    shares_of_capacity: Numbers = UNSET
    arrivals: Texts = UNSET
    objective: Text = UNSET
    warmup_s: Number = UNSET
    warmup_most_s: Number = UNSET
    window_s: Number = UNSET
    window_most_s: Number = UNSET
    drain_s: Number = UNSET
    timeout_s: Number = UNSET
    bounds: FaultBounds | UnsetType = UNSET
    workers: Count = UNSET
    remote_workers: Count = UNSET
    device: Text = UNSET
    startups: Count = UNSET
    warm_startups: Count = UNSET
    loop_s: Number = UNSET
    seed: Count = UNSET
    encodings: Texts = UNSET
    payloads: Mapping[str, tuple[str, ...]] | UnsetType = UNSET
    shares_of_lowest_capacity: Numbers = UNSET
    tolerance: Number = UNSET
    long_s: Number = UNSET
    tolerances: Mapping[str, float] | UnsetType = UNSET
    """Those of the strategies that have another than `tolerance`."""
    mix: Mapping[str, float] | UnsetType = UNSET
    """The weights of the classes that were sent together."""
    comparators: Texts = UNSET
    """How answers were compared, unless by label and probabilities alone."""
    unchecked: Mapping[str, int] | UnsetType = UNSET
    """By class, of how many requests nothing says what answer is right; unset if there are none."""
    payload_digests: Mapping[str, str] | UnsetType = UNSET
    """By class, the SHA-256 of all that was sent and of what had to come back; unset in older runs."""
    payload_sizes: Mapping[str, PayloadSizes] | UnsetType = UNSET
    """By class, without the classes whose requests are more than one file; unset in older runs."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a reader must know to repeat a run. No path, host name, user or secret.

    `cores` counts all cores of the machine; `usable_cores`, `service_cores` and `driver_cores` name theirs.
    `libraries` holds the driver's versions by name, `images` the digest of each strategy's image.
    """

    cpu_model: Text = UNSET
    cores: Count = UNSET
    usable_cores: Text = UNSET
    service_cores: Text = UNSET
    driver_cores: Text = UNSET
    cores_disjoint: Flag = UNSET
    driver_pinned: Flag = UNSET
    """False on a system that keeps no process to chosen cores; unset on all others."""
    gpu: Text = UNSET
    cpu_caches: Mapping[str, int] | UnsetType | None = UNSET
    isolated_cores: Text = UNSET
    numa_nodes: Text = UNSET
    smt: Flag = UNSET
    turbo: Flag = UNSET
    governor: Text = UNSET
    virtual: Flag = UNSET
    memory_bytes: Count = UNSET
    huge_pages: Text = UNSET
    clock_source: Text = UNSET
    libc: Text = UNSET
    os: Text = UNSET
    kernel: Text = UNSET
    stolen_since_boot: Number = UNSET
    commit: Text = UNSET
    dirty: Flag = UNSET
    python: Text = UNSET
    libraries: Mapping[str, str | None] | UnsetType = UNSET
    settings: RunSettings | UnsetType = UNSET
    engine_version: Text = UNSET
    storage_driver: Text = UNSET
    image_store: Text = UNSET
    container_runtime: Text = UNSET
    engine_os: Text = UNSET
    engine_kernel: Text = UNSET
    cgroup_version: Text = UNSET
    compose_version: Text = UNSET
    peak_memory_from: Text = UNSET
    cpu_time_from: Text = UNSET
    address_kind: Text = UNSET
    images: Mapping[str, str] | UnsetType = UNSET


def facts(environment: Environment) -> list[tuple[str, object]]:
    """Every fact that was asked for, by its dotted name (`settings.window_s`), in order."""
    return list(_flat(to_builtins(environment), ""))


def _flat(values: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
