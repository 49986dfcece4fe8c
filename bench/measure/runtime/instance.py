"""What a runtime must offer, and one running copy of a strategy as the trials see it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from bench.errors import BenchError
from bench.measure.machine.usage import Usage
from bench.model import Access, Doubt, Environment, ImageSize, Strategy


class StrategyStartError(BenchError):
    """A strategy did not come up; the trial that wanted it records this and the run goes on."""


class BuildError(BenchError):
    """The images of some strategies could not be built; `strategies` names them."""

    def __init__(self, strategies: Sequence[str]) -> None:
        super().__init__(f"the images of {', '.join(strategies)} could not be built: the lines above say why")
        self.strategies = tuple(strategies)


@dataclass(frozen=True, slots=True)
class DockerFacts:
    """What the Docker engine says of itself, as far as figures depend on it."""

    engine_version: str | None
    storage_driver: str | None
    image_store: str
    container_runtime: str | None
    engine_os: str | None
    engine_kernel: str | None
    cgroup_version: str | None


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """A runtime's part of the environment fingerprint.

    `address_kind` is the way to the services, empty before the first start; `images` holds the image of each
    strategy that was started. `service_cores` are named if the engine's cores are not those of this machine.
    `found_on` has the cores of this machine that each service may use that runs already, none if nobody
    knows. `not_there` names those whose process or container does not listen at the service's address.
    """

    address_kind: str
    images: Mapping[str, str] = field(default_factory=dict)
    engine: DockerFacts | None = None
    compose_version: str | None = None
    peak_memory_from: str | None = None
    service_cores: str | None = None
    cpu_time_from: str | None = None
    found_on: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    not_there: tuple[str, ...] = ()


def with_runtime(environment: Environment, told: RuntimeFacts) -> Environment:
    """The environment with the runtime's part."""
    if told.engine is None:
        return replace(
            environment,
            address_kind=told.address_kind,
            peak_memory_from=told.peak_memory_from,
            cpu_time_from=told.cpu_time_from,
        )
    if told.service_cores:
        # an engine with fewer cores runs elsewhere, in a virtual machine: what it shares with us is unknown
        environment = replace(environment, service_cores=told.service_cores, cores_disjoint=None)
    return replace(
        environment,
        **asdict(told.engine),
        compose_version=told.compose_version,
        peak_memory_from=told.peak_memory_from,
        address_kind=told.address_kind,
        images=dict(told.images),
    )


class Instance(Protocol):
    """One fresh copy of a strategy; times are ns on the monotonic clock.

    `model_cache` is "cold" if the copy had to pull its model, "warm" if its cache outlives it. `pid` is its
    first process, 0 if unknown; `here` says whether that runs under this kernel. `access` is how it is
    reached beside host and port. `cores` are those on which it was found, none if nobody knows, and None if
    it was given those that the run has for services.
    """

    created_ns: int
    running_ns: int
    host: str
    port: int
    address_kind: str
    model_cache: str
    pid: int
    access: Access
    cores: tuple[int, ...] | None

    @property
    def here(self) -> bool:
        """Whether it uses this machine's cores."""

    def usage(self) -> Usage:
        """Read the accounting now."""

    def alive(self) -> bool:
        """Say whether it still runs."""

    def fate(self) -> tuple[Doubt, ...]:
        """What happened to it that voids a trial: restarts, an OOM kill, an exit."""

    def log_tail(self) -> str:
        """The last line that it wrote, to name the cause of a failure."""

    def stop(self) -> None:
        """Stop and remove it; harmless when it is gone already."""


class Runtime(Protocol):
    """Where strategies run: containers, or local processes."""

    kind: str
    root: Path

    def prepare(self, strategies: Sequence[Strategy], *, build: bool) -> None:
        """Build what is needed, stop what would disturb, and bring the support services up.

        Raises BuildError with the strategies whose images could not be built; all else is BenchError.
        """

    def start(self, strategy: Strategy, *, warm: bool = False) -> Instance:
        """Start a fresh copy and return as soon as it runs; raises StrategyStartError.

        With `warm` its model cache is the one that all its warm starts share, whatever that holds by now.
        """

    def model_bytes(self, strategy: Strategy) -> int | None:
        """What lies in the model cache of the strategy's warm starts, None until `measure_cache` looked."""

    def measure_cache(self, strategy: Strategy) -> None:
        """Measure the model cache that a warm start left; raises StrategyStartError if it is empty."""

    def image_size(self, strategy: Strategy) -> ImageSize | None:
        """The size of the strategy's image; None without an image."""

    def run_loop(self, strategy: Strategy, request: bytes, timeout_s: float) -> bytes:
        """Run the strategy's loop with the request on stdin, return its stdout; raises StrategyStartError."""

    def describe(self) -> RuntimeFacts:
        """The runtime's part of the environment fingerprint."""

    def close(self) -> None:
        """Stop what was started, and bring back what ran before."""
