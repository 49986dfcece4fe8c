"""What one trial is to measure."""

from dataclasses import dataclass, field

from bench.cores import Cores
from bench.load.launch import Fleet
from bench.load.window import Bounds
from bench.model import Ceiling, Load, Payload, Strategy


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
        return f"{what}-{self.load.name}-r{self.round:02d}"
