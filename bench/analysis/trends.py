"""Figures of strategies over runs. Only runs that differ in nothing but code may be joined by a line."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.cases import Case, case_key
from bench.analysis.comparability import comparable_facts, differing_names
from bench.analysis.metrics import metrics_in
from bench.analysis.summary import Summary
from bench.analysis.sweeps import variant_of
from bench.model import EXACT, Quality, Run, Variant
from bench.statistics import Estimate

Key = tuple[tuple[str, str], ...]
LEAST_RUNS = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One run of a folder of runs: the name of its folder, its summary, and the group that it belongs to.

    `group` counts from 0 in the order in which a fingerprint first appears.
    """

    name: str
    run: Run
    summary: Summary
    group: int


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """A metric's estimate in one run; `place` is that run's place among all runs, from 0 for the oldest."""

    place: int
    entry: Entry
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Trend:
    """A strategy's points in one case, by the name of each metric that is followed; lists may be empty.

    Runs may give one name to several settings, or promise other answers under it: they are other strategies,
    told apart by their `variant` and their `quality`.
    """

    strategy: str
    case: Case
    points: dict[str, list[TrendPoint]]
    variant: Variant | None = None
    quality: Quality = EXACT

    def is_of(self, run: Run) -> bool:
        """Whether a run gives the name to the same settings, and promises the same of its answers."""
        return _what(run, self.strategy) == (self.variant, self.quality)

    @property
    def runs(self) -> int:
        """How many runs have any of its figures."""
        return len({point.place for points in self.points.values() for point in points})


def fingerprint_key(run: Run) -> Key:
    """What runs must share for a line between them to mean anything: runtime, machine, versions, settings.

    The commit, the images and how often and in which order was measured are free: they are what a trend is
    about, or change no figure. The load and the payloads are among the settings.
    """
    return (("runtime", run.runtime), *sorted(comparable_facts(run.environment).items()))


def entries(runs: Sequence[tuple[str, Run, Summary]]) -> list[Entry]:
    """The runs, the oldest first, each with its group."""
    groups: list[dict[str, str]] = []
    ordered = sorted(runs, key=lambda one: (one[1].created, one[0]))
    return [Entry(name, run, summary, _group(groups, fingerprint_key(run))) for name, run, summary in ordered]


def _group(groups: list[dict[str, str]], key: Key) -> int:
    """The place of the group of this fingerprint, which is added to the groups' facts.

    A group of older runs, which do not say what they sent, takes this from the first that says it.
    """
    told = dict(key)
    for place, known in enumerate(groups):
        if not differing_names(known, told):
            known.update(told)
            return place
    groups.append(told)
    return len(groups) - 1


def trends(runs: Sequence[Entry]) -> list[Trend]:
    """Every strategy's trend in every case, in the order of strategies as runs name them and of cases."""
    cases = sorted({case for entry in runs for case in _followed(entry.summary)}, key=case_key)
    every = [_trend(own, name, case, what) for name, what, own in _strategies(runs) for case in cases]
    return [trend for trend in every if trend.runs]


What = tuple[Variant | None, Quality]
"""The settings that a run gives a name to, and what it promises of the answers."""


def _what(run: Run, name: str) -> What:
    result = run.strategies.get(name)
    return variant_of(run, name), EXACT if result is None else result.quality


def _strategies(runs: Sequence[Entry]) -> list[tuple[str, What, list[tuple[int, Entry]]]]:
    """Every strategy, by its name, settings and promise, with the runs that have it and their places."""
    found: dict[str, list[tuple[What, list[tuple[int, Entry]]]]] = {}
    for place, entry in enumerate(runs):
        for name in entry.summary.strategies:
            what, known = _what(entry.run, name), found.setdefault(name, [])
            own = next((own for one, own in known if one == what), None)
            if own is None:
                own = []
                known.append((what, own))
            own.append((place, entry))
    return [(name, what, own) for name, known in found.items() for what, own in known]


def _trend(runs: Sequence[tuple[int, Entry]], name: str, case: Case, what: What) -> Trend:
    points = {one.name: _points(runs, name, case, one.name) for one in metrics_in("trends")}
    return Trend(name, case, points, *what)


def _followed(summary: Summary) -> tuple[Case, ...]:
    """The cases that other runs may have too: a search chose most of its rates by its own answers."""
    return summary.focus if summary.searched else summary.cases


def _points(runs: Sequence[tuple[int, Entry]], name: str, case: Case, metric: str) -> list[TrendPoint]:
    points = []
    for place, entry in runs:
        row = entry.summary.rows.get((name, case))
        estimate = row.estimates[metric] if row else None
        if estimate is not None:
            points.append(TrendPoint(place, entry, estimate))
    return points


def joined(points: Sequence[TrendPoint]) -> list[list[TrendPoint]]:
    """The points of each group, in order: what a line may join, and single points."""
    groups: dict[int, list[TrendPoint]] = {}
    for point in points:
        groups.setdefault(point.entry.group, []).append(point)
    return list(groups.values())
