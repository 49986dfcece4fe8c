"""The JSON document of a run, its schema in version 1: bench.report.json_summary writes it.

Within a version nothing is renamed, removed or given another unit; new keys may come. A figure that is
missing is null, never 0. Units are in a figure's name or beside it.
"""

from typing import NotRequired, TypedDict

SCHEMA = 1


class EstimateJson(TypedDict):
    """A centre over `n` rounds or starts with its 95% interval, whose ends are null if n is too small."""

    centre: float
    low: float | None
    high: float | None
    n: int
    unit: str


class ComparisonJson(TypedDict):
    """A ratio to the baseline, paired by round; `verdict` is in words, null if too few rounds have both.

    `p` is the sign-flip test's, `adjusted_p` the paired t-test's after Holm's correction over the run, and
    `minimal_detectable_effect` the least relative difference that so many rounds find in 80 of 100 runs.
    `other_quality` is there, and true, if both do not promise the same of their answers, which is other work.
    """

    ratio: float
    low: float | None
    high: float | None
    n: int
    p: float | None
    adjusted_p: float | None
    minimal_detectable_effect: float | None
    differs: bool
    verdict: str | None
    other_quality: NotRequired[bool]


class PairJson(TypedDict):
    """Everything that was compared: `found.ratio` is of `strategy` in `case` to `base` in `base_case`.

    `relation` is "baseline", "strategies" (two others), or "cases" (of one strategy).
    """

    strategy: str
    case: str
    base: str
    base_case: str
    relation: str
    metric: str
    found: ComparisonJson


class NotComparedJson(TypedDict):
    """Two rows with figures that are not compared: `why` is "overloaded", "utilisation" (they reached other
    shares of their capacities) or "utilisation_unknown".
    """

    strategy: str
    case: str
    base: str
    base_case: str
    relation: str
    why: str
    utilisation: float | None
    base_utilisation: float | None


class CaseJson(TypedDict):
    """What was offered: `size` is of clients, requests/s, or the share of capacity, by `kind`.

    `unchecked` is there, and true, if nothing says whether all answers are right.
    """

    id: str
    payload_class: str
    encoding: str
    load: str
    kind: str
    size: float
    even: bool
    unchecked: NotRequired[bool]


class ClassJson(TypedDict):
    """One class of a mix over the valid rounds; `bad` counts errors and wrong answers."""

    requests: int
    bad: int
    estimates: dict[str, EstimateJson | None]


class LimitJson(TypedDict):
    """A strategy's bare loop, the limit of its service; `batch_size` is its engine's if the loop is in parts.

    `of_rate` is the service's throughput over the limit's, null if a schedule set the throughput. `of_cpu` is
    the limit's CPU time of a request over the service's.
    """

    requests_per_s: EstimateJson | None
    cpu_ms_per_request: EstimateJson | None
    batch_size: int | None
    of_rate: EstimateJson | None
    of_cpu: EstimateJson | None


class RowJson(TypedDict):
    """One strategy in one case, by its id; counts are over all its trials, estimates over valid ones.

    `estimates` has every metric; `to_baseline` those that were compared, and none for the baseline itself.
    `utilisation` is the rate offered as a share of the capacity that the closed loop of the same rounds had.
    `classes` is there if several classes were sent in one load: throughput and latencies of each. `of_limit`
    says how near it comes to its own bare loop, null if no loop was taken or if its case does not stand for
    the run.
    """

    strategy: str
    case: str
    estimates: dict[str, EstimateJson | None]
    to_baseline: dict[str, ComparisonJson]
    valid_trials: int
    invalid_trials: int
    requests: int
    errors: int
    wrong_answers: int
    refused: int | None
    offered_per_s: float | None
    utilisation: EstimateJson | None
    of_limit: LimitJson | None
    classes: NotRequired[dict[str, ClassJson]]


class ImageJson(TypedDict):
    """An image's size in bytes; what the model adds lies in no layer."""

    compressed_bytes: int | None
    unpacked_bytes: int
    wasted_bytes: int | None
    model_bytes: int | None


class ParityJson(TypedDict):
    """Its answers before anything was timed; `largest_difference` is of a probability to the reference's.

    `largest_share` is there if tensors were compared: the most of its tolerance that an element was off.
    `unchecked` is there if nothing says of so many requests what answer is right.
    """

    answers: int
    wrong: int
    tolerance: float
    largest_difference: float | None
    largest_at: str
    largest_share: NotRequired[float]
    share_at: NotRequired[str]
    unchecked: NotRequired[int]


class VariedJson(TypedDict):
    """Of which strategy it is a variant, and the settings that it had instead of that strategy's."""

    of: str
    settings: dict[str, str]


class QualityJson(TypedDict):
    """What a strategy promises of its answers: `promise` is "exact", "bounded" or "agreement".

    The numbers are shares from 0 to 1 that the promise states: of a probability, of labels, and of accuracy.
    """

    promise: str
    tolerance: float | None
    agreement: float | None
    loss: float | None


class HeldOutJson(TypedDict):
    """What it answered to the held-out set; of `truths` pictures the true class is known.

    `agreement`, `accuracy` and `loss` are shares; the latter two are null if no true class is known. The
    interval of `agreement` and `accuracy` is that of Clopper and Pearson.
    """

    answers: int
    same_label: int
    unread: int
    truths: int
    right: int
    reference_right: int
    agreement: EstimateJson | None
    accuracy: EstimateJson | None
    loss: float | None
    largest_difference: float | None
    largest_at: str


class FailureJson(TypedDict):
    """Why nothing of a strategy could be timed."""

    code: str
    why: str


class StrategyJson(TypedDict):
    """Beside its trials: from the create call to the first correct answer, cold and warm, and its image.

    `varied` is there if --vary made it of another strategy, `held_out` if it was asked the held-out set,
    `failure` if nothing of it could be timed.
    """

    name: str
    title: str
    start_s: EstimateJson | None
    warm_start_s: EstimateJson | None
    image: ImageJson | None
    parity: ParityJson | None
    quality: QualityJson
    varied: NotRequired[VariedJson]
    held_out: NotRequired[HeldOutJson]
    failure: NotRequired[FailureJson]


class ObjectiveJson(TypedDict):
    """The highest rate at which an objective held, null with the reason if there is none.

    `known` is false if the search did not learn which rate that is: it does not say that none holds.
    """

    strategy: str
    payload_class: str
    encoding: str
    quantile: float
    bound_ms: float
    capacity_per_s: float | None
    rate_per_s: float | None
    goodput_per_s: float | None
    why_none: str | None
    known: bool


class WarningJson(TypedDict):
    """One kind of reason to doubt and how many invalid and valid trials have it; none if the run has it."""

    code: str
    kind: str
    invalid_trials: int
    valid_trials: int
    strategies: list[str]
    example: str
    remedy: str | None


class TrialsJson(TypedDict):
    """How many trials were planned (null if they are a search's), may be believed, may not, were not made."""

    planned: int | None
    valid: int
    invalid: int
    missing: int


class StandingJson(TypedDict):
    """How strategies stand in one thing, the best first: requests/s, ms, s or bytes, by `criterion`.

    `ahead` has the strategies that the run does not tell apart from the best. `case` is an id, or null.
    """

    criterion: str
    case: str | None
    figures: dict[str, float]
    ahead: list[str]


class LesserJson(TypedDict):
    """A strategy that promises less of its answers than those that were chosen among.

    `standings` are of this strategy and the pick alone; `better` says whether it is better in any of these.
    """

    strategy: str
    better: bool
    standings: list[StandingJson]


class ChoiceJson(TypedDict):
    """Which strategy the run speaks for, null if for none, a sentence that says so, and what it rests on.

    `proven` is false of a single round, whose `pick` is who has the best figures. `lesser` is there if
    strategies promise less of their answers than those that `standings` have.
    """

    pick: str | None
    proven: bool
    sentence: str
    standings: list[StandingJson]
    lesser: NotRequired[list[LesserJson]]


class RunJson(TypedDict):
    """The document. `files` are the report's, relative to the run's `folder`, of which this is the name."""

    schema: int
    choice: ChoiceJson
    sentence: str
    machine: str
    created: str
    command: str
    runtime: str
    quick: bool
    baseline: str | None
    trials: TrialsJson
    requests: int
    errors: int
    wrong_answers: int
    strategies: list[StrategyJson]
    cases: list[CaseJson]
    rows: list[RowJson]
    comparisons: list[PairJson]
    not_compared: list[NotComparedJson]
    objectives: list[ObjectiveJson]
    warnings: list[WarningJson]
    folder: str | None
    files: list[str]
