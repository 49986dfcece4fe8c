"""A service's own account of a window: its Prometheus metrics at both ends, and what lies between."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.measure.bounded_http import FAULTS, answer_to, whole_body
from bench.model import PLAIN, Access, BatchFigures, ServerFigures, StageFigures
from bench.model.from_outside import is_line

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

PATH = "/metrics"
TIMEOUT_S = 5.0
# what Prometheus's own parser raises for what is none of its format, beside ValueError
UNREADABLE = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
# more stages or buckets than that are no account of a service's own, and fill every table
MOST_NAMES = 100
# whole numbers from there on are not exact
MOST_TOTAL = 2.0**53
STAGES, BATCHES, PHASES = "stage_duration_seconds", "batch_size", "startup_phase_seconds"


@dataclass(frozen=True, slots=True)
class Scrape:
    """Running totals since the service began, summed over its models.

    `stages` holds seconds and count by stage, `batches` the counts up to each bucket's upper bound.
    """

    stages: Mapping[str, tuple[float, float]]
    batches: Mapping[str, float]
    batch_items: float


def scrape(host: str, port: int, access: Access = PLAIN) -> Scrape | None:
    """Read the metrics now; None without metrics in Prometheus's text format."""
    text = _fetch(host, port, access)
    try:
        return None if text is None else read_metrics(text)
    except UNREADABLE:
        return None


def startup_phases(host: str, port: int) -> dict[str, float]:
    """Seconds that each phase of the service's start took by its own account, summed over its models.

    Empty if it reports none.
    """
    text, seconds = _fetch(host, port), defaultdict[str, float](float)
    try:
        for sample in _samples(text or ""):
            if sample.name == PHASES and sample.value >= 0:
                seconds[sample.labels.get("phase", "")] += sample.value
    except UNREADABLE:
        return {}
    kept = {phase: total for phase, total in seconds.items() if is_line(phase) and total < MOST_TOTAL}
    return dict(list(kept.items())[:MOST_NAMES])


def _fetch(host: str, port: int, access: Access = PLAIN) -> str | None:
    accept = {"Accept": "text/plain"}
    try:
        with answer_to("GET", host, port, PATH, timeout_s=TIMEOUT_S, headers=accept, access=access) as answer:
            return whole_body(answer).decode(errors="replace") if answer.status == 200 else None
    except FAULTS:
        return None


def _samples(text: str) -> "list[Sample]":
    from prometheus_client.parser import text_string_to_metric_families

    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def read_metrics(text: str) -> Scrape:
    """The totals that an exposition holds; raises one of UNREADABLE if it is not an exposition.

    What is not a number of something, and what has no name of one line, is left out.
    """
    samples = _samples(text)
    seconds, counts, batches = (defaultdict[str, float](float) for _ in range(3))
    items = 0.0
    for sample in samples:
        if not 0 <= sample.value < MOST_TOTAL:
            continue
        if sample.name == f"{STAGES}_sum":
            seconds[sample.labels.get("stage", "")] += sample.value
        elif sample.name == f"{STAGES}_count":
            counts[sample.labels.get("stage", "")] += sample.value
        elif sample.name == f"{BATCHES}_bucket":
            batches[sample.labels["le"]] += sample.value
        elif sample.name == f"{BATCHES}_sum":
            items += sample.value
    named = [stage for stage in counts if is_line(stage)]
    bounds = [float(bound) for bound in batches]  # raises ValueError for what is none
    if len(named) > MOST_NAMES or len(bounds) > MOST_NAMES:
        raise ValueError(f"more than {MOST_NAMES} stages or sizes of batches")
    return Scrape({stage: (seconds[stage], counts[stage]) for stage in named}, dict(batches), items)


def figures_between(before: Scrape | None, after: Scrape | None) -> ServerFigures | None:
    """What happened between two scrapes; None if either is missing or has none of these metrics."""
    if before is None or after is None:
        return None
    stages = {}
    for stage, (seconds, count) in after.stages.items():
        since_s, since = before.stages.get(stage, (0.0, 0.0))
        # fewer than before: a process began anew, and what it counted until then is lost
        if count > since and seconds >= since_s:
            stages[stage] = StageFigures(
                round(1e3 * (seconds - since_s) / (count - since), 4), int(count - since)
            )
    batch = _batches(before, after)
    return ServerFigures(stages, batch) if stages or batch else None


def _batches(before: Scrape, after: Scrape) -> BatchFigures | None:
    """Sizes of the batches in between; None without a batch."""
    grown = {bound: after.batches[bound] - before.batches.get(bound, 0.0) for bound in after.batches}
    ordered = sorted(grown.items(), key=lambda item: float(item[0]))
    total, items = ordered[-1][1] if ordered else 0.0, after.batch_items - before.batch_items
    if total <= 0 or items < total:
        return None
    # the exposition counts up to a bound; each bucket's own is the step from the one below
    lower = [0.0, *(count for _, count in ordered)]
    own = {bound: int(count - below) for (bound, count), below in zip(ordered, lower, strict=False)}
    return BatchFigures(round(items / total, 4), {bound: count for bound, count in own.items() if count > 0})
