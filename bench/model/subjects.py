"""What is measured and with what: a strategy, a payload and its right answer, and how a request may end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.model.attached import Attachment
from bench.model.expectations import Expectation
from bench.model.quality import EXACT, Quality
from bench.model.variants import Variant

Outcome = Literal["ok", "wrong_answer", "http_error", "connection_error", "timeout", "unfinished", "refused"]
OUTCOMES: tuple[Outcome, ...] = (
    "ok",
    "wrong_answer",
    "http_error",
    "connection_error",
    "timeout",
    "unfinished",
    "refused",
)

Side = Literal["again", "base"]

SUFFIXES: dict[Side, str] = {"again": "-again", "base": "@base"}
"""What the shown name of a twin ends with; no strategy's own name may have the sign of "base"."""

MIX = "mix"
"""The class of payloads of several classes that are sent in one load."""

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Twin:
    """What a strategy is compared with: it is the strategy named `of` once more.

    On the side "base" it is as another commit has it, on the side "again" it is the same.
    """

    of: str
    side: Side


def twin_name(of: str, side: Side) -> str:
    """The name under which people see the twin of the strategy `of`."""
    return of + SUFFIXES[side]


@dataclass(frozen=True, slots=True)
class Strategy:
    """One service under test, as its labels in compose.yaml register it.

    With an `attachment` it runs already: bench does not start it, and compose.yaml says nothing of it.
    """

    name: str
    title: str
    service: str
    port: int
    path: str
    ready_path: str
    encodings: tuple[str, ...]
    loop_command: tuple[str, ...] | None
    devices: tuple[str, ...] = ("cpu",)
    model: str = "model"
    """The model's name in the paths of the open inference protocol."""
    keeps_model: bool = False
    """Whether it is known where it keeps the model that it pulls, so that it can be started with it there."""
    twin: Twin | None = None
    tolerance: float | None = None
    """How far each probability of a right answer may be from the reference's; None for the run's."""
    attachment: Attachment | None = None
    settings_command: tuple[str, ...] | None = None
    """What says which settings its service knows, and which values of them it refuses."""
    variant: Variant | None = None
    """Which settings it has instead of its stanza's, if --vary made it of another strategy."""
    quality: Quality = EXACT
    """How near its answers are to the reference's, as the label bench.quality declares it."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The environment variables that its service gets instead of those of its stanza."""
        return {} if self.variant is None else self.variant.settings

    @property
    def is_base(self) -> bool:
        """Whether it is a strategy as another commit has it, to compare with this commit's."""
        return self.twin is not None and self.twin.side == "base"


@dataclass(frozen=True, slots=True)
class Payload:
    """One request as it is sent, and what must come back.

    `payload_class` groups requests of one kind ("seed", "small"). `path` is None if the strategy's own path
    takes it, `headers` are those beside Content-Type, and `reply` says how the answer is read. `weight` says
    how often it is sent beside the others of its class. In a mix of classes, `mixed_from` is its own.
    """

    name: str
    payload_class: str
    encoding: str
    content_type: str
    body: bytes
    expect: Expectation
    path: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reply: str = "json"
    method: str = "POST"
    weight: float = 1.0
    mixed_from: str = ""
