"""A whole run: its trials, and everything that was found beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.model.doubts import Doubt, DoubtCode
from bench.model.environment import Environment
from bench.model.images import ImageSize
from bench.model.options import SessionOptions
from bench.model.quality import EXACT, HeldOutResult, Quality
from bench.model.subjects import Twin
from bench.model.trials import Trial
from bench.model.variants import Variant

SCHEMA_VERSION = 4
# as much faster may repeated payloads be answered as varied ones
REPEAT_ALLOWED = 1.10


@dataclass(frozen=True, slots=True)
class Startup:
    """Fresh starts of one strategy, in seconds since the engine's create call; one entry a start.

    `inside` holds how long each phase took that the service itself timed, in seconds.
    """

    first_correct_answer_s: tuple[float, ...]
    phases: Mapping[str, tuple[float, ...]]
    model_cache: str
    inside: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoopResult:
    """The strategy's own pipeline in a bare loop, without HTTP: one entry a round.

    `part` is "whole", "prepare" (parse, decode and transform) or "infer" (the model alone, on prepared items
    in batches of `batch_size`).
    """

    payload_class: str
    requests_per_s: tuple[float, ...]
    cpu_ms_per_request: tuple[float, ...]
    part: str = "whole"
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class ParityResult:
    """What a strategy answered to all requests in all its encodings, before anything was timed.

    `largest_difference` is the greatest distance of a probability from the reference's over all answers that
    could be read, None without such an answer; `tolerance` is what was allowed. `wrong` of the `answers` were
    wrong, by a probability, by the label, or because they could not be read.
    """

    answers: int
    wrong: int
    tolerance: float
    largest_difference: float | None
    largest_at: str = ""
    """The request and the encoding of the largest difference."""
    largest_share: float | None = None
    """Where tensors are compared: the greatest share of its tolerance that an element was off; at most 1."""
    share_at: str = ""
    """The request and the encoding of that share."""
    unchecked: int = 0
    """Of how many requests nothing says what answer is right."""


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """What is known of a strategy beside its trials; None if it could not be measured."""

    title: str
    image: ImageSize | None
    startup: Startup | None
    loops: tuple[LoopResult, ...] = ()
    warm_startup: Startup | None = None
    """The same with a model cache that an earlier start has filled."""
    twin: Twin | None = None
    parity: ParityResult | None = None
    failure: Doubt | None = None
    """Why nothing of it could be timed, in a session that goes on without it."""
    attached: bool = False
    """Whether it ran already, so that nothing of it was measured that a start is needed for."""
    variant: Variant | None = None
    """Which settings it had instead of its stanza's, if --vary made it of another strategy."""
    quality: Quality = EXACT
    """How near to the reference's it declares its answers."""
    held_out: HeldOutResult | None = None
    """What it answered to the held-out set; None if it was not asked."""

    @property
    def is_base(self) -> bool:
        """Whether it is a strategy as another commit has it, to compare with this commit's."""
        return self.twin is not None and self.twin.side == "base"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The driver against a target that answers at once: the most that it can measure.

    `ab_*` are ApacheBench's figures against the same target with one of the same bodies, None if it is
    not installed; `plain_*` are those of Locust's own fast client without ours, None if nobody asked.
    """

    payload_class: str
    encoding: str
    clients: int
    throughput_rps: float
    driver_cpu_ms_per_request: float
    ab_throughput_rps: float | None
    ab_cpu_ms_per_request: float | None
    plain_throughput_rps: float | None = None
    plain_cpu_ms_per_request: float | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """The most that a strategy answered in a closed loop before the rounds: a search begins from it.

    In older runs shares of it became rates; today these are shares of what the rounds themselves measure.
    """

    strategy: str
    payload_class: str
    encoding: str
    clients: int
    throughput_rps: float


@dataclass(frozen=True, slots=True)
class RepeatCheck:
    """The same images over and over against copies of them of which no two bodies are alike.

    Where repeating is much faster, something caches answers and the figures are of the cache.
    """

    strategy: str
    payload_class: str
    encoding: str
    varied_rps: float
    repeated_rps: float


@dataclass(frozen=True, slots=True)
class UptimeSpan:
    """A service between two instants of its uptime, in seconds since its first request came due.

    `ok` right answers ended in it; the quantiles are theirs, in ms from due to done. `memory_bytes` is the
    most that was in use, None if it was not read in this time.
    """

    begin_s: float
    end_s: float
    ok: int
    throughput_rps: float
    p50_ms: float | None
    p99_ms: float | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class UptimeChange:
    """That a metric is another, beyond tolerance and chance, after the uptimes that the windows cover.

    `within` is its value at the windows' uptimes, `beyond` that from `begin_s` to `end_s` of uptime.
    """

    metric: Literal["throughput", "p99"]
    within: float
    beyond: float
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class LongTrial:
    """One long trial of a strategy, which shows what grows or falls with uptime.

    `spans` are tenths of its time from the first request on, the warm-up among them; `window_begin_s` and
    `window_end_s` are the uptimes that the windows of the ordinary trials cover, and `changes` what those
    windows do not stand for. `memory` has the readings of memory in use: seconds of uptime and bytes.
    """

    trial: Trial
    length_s: float
    window_begin_s: float
    window_end_s: float
    spans: tuple[UptimeSpan, ...] = ()
    changes: tuple[UptimeChange, ...] = ()
    memory: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """One rate that a search for an objective tried, in one trial: did the objective hold there?

    `goodput_rps` counts right answers within the bound; `quantile_ms` is None if answers are too few.
    """

    rate_per_s: float
    round: int
    quantile_ms: float | None
    goodput_rps: float
    throughput_rps: float
    held: bool
    why_not: str = ""
    known: bool = True
    """Whether the trial tells: where not, it neither held nor did not."""
    code: DoubtCode | None = None
    """The gravest thing that the service did instead of holding; None if answers were late and no more."""
    requests: int = 0
    """The requests that came due in its window; 0 in older runs, which do not say."""
    missed: int = 0
    """Those of them that were not within the bound; all of them if the service ended or its queue grew."""


@dataclass(frozen=True, slots=True)
class SloResult:
    """The highest rate tried at which an objective held, or `why_none`, in words.

    The objective is `quantile` of the response times within `bound_ms`. Without a `capacity_rps`, from which
    a search begins, no rate was tried.
    """

    strategy: str
    payload_class: str
    encoding: str
    quantile: float
    bound_ms: float
    capacity_rps: float | None
    rate_per_s: float | None
    goodput_rps: float | None
    probes: tuple[Probe, ...]
    why_none: str = ""
    known: bool = True
    """Whether the search learned which rate that is: if not, another search might."""


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that one `bench run` found, as run.json holds it.

    `command` is for people; what was asked for is in `options`, which older runs do not have. `baseline` is
    the strategy that the others are compared with first; None if nobody chose it.
    """

    schema_version: int
    created: str
    command: str
    runtime: str
    quick: bool
    planned_trials: int
    environment: Environment
    ceilings: tuple[Ceiling, ...]
    strategies: Mapping[str, StrategyResult]
    trials: tuple[Trial, ...]
    doubts: tuple[Doubt, ...] = ()
    capacities: tuple[Capacity, ...] = ()
    repeats: tuple[RepeatCheck, ...] = ()
    objectives: tuple[SloResult, ...] = ()
    price_per_core_hour: float | None = None
    options: SessionOptions | None = None
    baseline: str | None = None
    longs: tuple[LongTrial, ...] = ()


def objective_label(quantile: float, bound_ms: float) -> str:
    """A service objective: `p99 ≤ 100 ms`."""
    return f"p{100 * quantile:g} \N{LESS-THAN OR EQUAL TO} {bound_ms:g} ms"
