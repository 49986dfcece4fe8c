"""A service's own account of a window: its Prometheus metrics at both ends, and what lies between."""

import http.client
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from bench.model import BatchFigures, ServerFigures, StageFigures

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

PATH = "/metrics"
TIMEOUT_S = 5.0
STAGES, BATCHES, PHASES = "stage_duration_seconds", "batch_size", "startup_phase_seconds"


@dataclass(frozen=True, slots=True)
class Scrape:
    """Running totals since the service began, summed over its models.

    `stages` holds seconds and count by stage, `batches` the counts up to each bucket's upper bound.
    """

    stages: Mapping[str, tuple[float, float]]
    batches: Mapping[str, float]
    batch_items: float


def scrape(host: str, port: int) -> Scrape | None:
    """Read the metrics now; None without metrics in Prometheus's text format."""
    text = _fetch(host, port)
    try:
        return None if text is None else read_metrics(text)
    except ValueError:
        return None


def startup_phases(host: str, port: int) -> dict[str, float]:
    """Seconds that each phase of the service's start took by its own account, summed over its models.

    Empty if it reports none.
    """
    text, seconds = _fetch(host, port), defaultdict[str, float](float)
    try:
        for sample in _samples(text or ""):
            if sample.name == PHASES and isfinite(sample.value):
                seconds[sample.labels.get("phase", "")] += sample.value
    except ValueError:
        return {}
    return dict(seconds)


def _fetch(host: str, port: int) -> str | None:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", PATH, headers={"Accept": "text/plain"})
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
        return text if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _samples(text: str) -> "list[Sample]":
    from prometheus_client.parser import text_string_to_metric_families

    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def read_metrics(text: str) -> Scrape:
    """The totals that an exposition holds; raises ValueError if it is not an exposition."""
    samples = _samples(text)
    seconds, counts, batches = (defaultdict[str, float](float) for _ in range(3))
    items = 0.0
    for sample in samples:
        if sample.name == f"{STAGES}_sum":
            seconds[sample.labels.get("stage", "")] += sample.value
        elif sample.name == f"{STAGES}_count":
            counts[sample.labels.get("stage", "")] += sample.value
        elif sample.name == f"{BATCHES}_bucket":
            batches[sample.labels["le"]] += sample.value
        elif sample.name == f"{BATCHES}_sum":
            items += sample.value
    return Scrape({stage: (seconds[stage], counts[stage]) for stage in counts}, dict(batches), items)


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
