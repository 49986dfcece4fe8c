"""index.html over a folder of runs: a row a run, and each strategy's trend over those that may be joined."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from bench.analysis.comparability import differing_facts
from bench.analysis.declared import Declared
from bench.analysis.metrics import Metric, metrics_in, scaled
from bench.analysis.summary import Summary, summarise
from bench.analysis.trends import LEAST_RUNS, Entry, Trend, entries, fingerprint_key, trends
from bench.errors import BenchError, UsageError
from bench.model import Run
from bench.model.variants import in_words
from bench.report import cells, text
from bench.report.choice_sentence import choice_sentence
from bench.report.index_rows import IndexRow, index_rows, measured, shows_something
from bench.report.page import fill
from bench.report.page.run_page import state
from bench.report.page.trend_chart import chart, letter, mark
from bench.report.plain import one_line
from bench.report.quality_words import in_short
from bench.report.sentence import machine_line
from bench.report.writers import html
from bench.run_file import FILE_NAME as RUN_FILE
from bench.run_file import read_run
from bench.run_file.json_text import file_bytes, json_from
from bench.run_file.run_values import UNLIKE_A_RUN

FILE_NAME = "index.html"
REPORTS = ("report.html", "report.md")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder that is not a run, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Gate:
    """A folder in which two commits were measured side by side: when, what the gate said, and its page."""

    name: str
    created: str
    said: str
    address: str


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that a line may join: name, mark, machine, and what sets them apart from the group before."""

    name: str
    mark: Markup
    machine: str
    runs: int
    differs: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Written:
    """The page, its rows, and how many runs it does not show, as none of their trials is valid."""

    path: Path
    rows: tuple[IndexRow, ...]
    hidden: int


def make_index(
    results: Path, tell: Callable[[Unreadable], None] | None = None, *, every: bool = False
) -> Written:
    """Write index.html over the runs and gates in a folder; `tell` of what is neither.

    Runs without a valid trial are left out, unless `every` run is wanted or there are no others. A subfolder
    that is neither a run nor a gate is listed with the reason. Raises UsageError if there are no subfolders,
    and if the folder itself is a run.
    """
    read, unreadable = _read(results)
    # services that share a core have no figures of their own to follow
    gates = [_gate(results / name, run) for name, run, _ in read if side_by_side(run)]
    runs = [one for one in read if not side_by_side(one[1])]
    found = [one for one in runs if every or shows_something(one[1], one[2])] or runs
    hidden = len(runs) - len(found)
    if not found and not gates:
        first = f" ({unreadable[0].name}: {unreadable[0].why})" if unreadable else ""
        where = results.name or "this folder"
        raise UsageError(f"no run in {where}/{first}: make one with `python -m bench run`")
    path = results / FILE_NAME
    page = render(entries(found), unreadable, _links(results, found), gates, hidden)
    path.write_text(page, encoding="utf-8")
    if tell is not None:
        for one in unreadable:
            tell(one)
    return Written(path, tuple(index_rows(entries(found))), hidden)


def render(
    runs: Sequence[Entry],
    unreadable: Sequence[Unreadable],
    links: dict[str, list[tuple[str, str]]],
    gates: Sequence[Gate] = (),
    hidden: int = 0,
) -> str:
    """The page; `links` holds, by the name of a run's folder, the name and address of each of its reports."""
    followed = trends(runs)
    groups = _groups(runs)
    return fill(
        "index.html",
        rows=[
            {
                "entry": row.entry,
                "letter": row.letter,
                "measured": row.measured,
                "opens": row.opens,
                "links": links.get(row.entry.name, []),
                "state": state(row.entry.run, row.entry.summary),
                "sentence": choice_sentence(row.entry.run, row.entry.summary),
            }
            for row in index_rows(runs)
        ],
        newest=runs[-1].run.created[:10] if runs else "",
        oldest=runs[0].run.created[:10] if runs else "",
        hidden=hidden_runs(hidden),
        groups=groups,
        joinable=_joinable(len(runs), len(groups)),
        strategies={
            name: [trend for trend in followed if _strategy_label(trend, followed) == name]
            for name in dict.fromkeys(_strategy_label(trend, followed) for trend in followed)
        },
        metrics=metrics_in("trends"),
        least=LEAST_RUNS,
        draw=lambda trend, metric: _chart(trend, _strategy_label(trend, followed), metric, len(runs)),
        figures=_figures(runs, followed),
        unreadable=unreadable,
        gates=gates[::-1],
        plural=text.plural,
    )


def hidden_runs(count: int) -> str:
    """How many runs are hidden and why, and the option that shows them; empty if there are none."""
    if not count:
        return ""
    are = "is" if count == 1 else "are"
    return f"{text.plural(count, 'run')} without a valid trial {are} hidden: `--all` shows every run."


def _read(results: Path) -> tuple[list[tuple[str, Run, Summary]], list[Unreadable]]:
    """The runs in a folder with their summaries, and the folders that are none."""
    if not results.is_dir():
        raise UsageError(f"no folder {results.name}: name one that holds runs")
    if (results / RUN_FILE).is_file():
        raise UsageError(f"{results.name or 'this folder'} is a run: name the folder that holds it")
    found, unreadable = [], []
    for folder in sorted(path for path in results.iterdir() if path.is_dir() and path.name[0] != "."):
        try:
            run = read_run(folder)
            summary = summarise(run)
            _require_shown(run, summary)
            found.append((folder.name, run, summary))
        except BenchError as error:
            unreadable.append(Unreadable(folder.name, str(error)))
        except OSError as error:
            unreadable.append(Unreadable(folder.name, error.strerror or "cannot be read"))
        except UNLIKE_A_RUN as error:
            # whatever lies in a foreign file, the other runs are still shown
            unreadable.append(
                Unreadable(folder.name, f"run.json holds values that a run does not have: {error}")
            )
    return found, unreadable


def _require_shown(run: Run, summary: Summary) -> None:
    """Raise what the page would raise that says this of the run: then all runs would be missing from it."""
    state(run, summary)
    choice_sentence(run, summary)
    machine_line(run)
    measured(run, summary)
    fingerprint_key(run)


def side_by_side(run: Run) -> bool:
    """Whether a run is a gate's, whose services shared their cores."""
    settings = run.environment.settings
    return bool(settings and settings.side_by_side)


def _gate(folder: Path, run: Run) -> Gate:
    try:
        said = one_line(str(json_from(file_bytes(folder / "gate.json"))["sentence"]))
    except (OSError, ValueError, KeyError, TypeError):
        said = "not judged"
    address = f"{quote(folder.name)}/gate.html" if (folder / "gate.html").is_file() else ""
    return Gate(folder.name, run.created, said, address)


def _links(results: Path, found: Sequence[tuple[str, Run, Summary]]) -> dict[str, list[tuple[str, str]]]:
    return {
        name: [
            (report, f"{quote(name)}/{report}") for report in REPORTS if (results / name / report).is_file()
        ]
        for name, _, _ in found
    }


def _groups(runs: Sequence[Entry]) -> list[Group]:
    """The groups in order; each but the first says in what it differs from the one before."""
    firsts = list({entry.group: entry for entry in reversed(runs)}.values())[::-1]
    groups = []
    for before, first in zip([None, *firsts], firsts, strict=False):
        differs = [] if before is None else _differences(before, first)
        groups.append(
            Group(
                letter(first.group),
                mark(first.group),
                machine_line(first.run),
                sum(entry.group == first.group for entry in runs),
                tuple(differs),
                fingerprint_key(first.run),
            )
        )
    return groups


def _joinable(runs: int, groups: int) -> str:
    """How many runs may be compared over time, in a sentence."""
    if runs == 0:
        return "What a gate measured is in no trend."
    if runs == 1:
        return "A trend needs a second run."
    if groups == runs:
        return f"No two of these {runs} runs may be joined: what differs is below."
    return f"{text.plural(groups, 'group')} of runs that may be compared over time."


def _differences(before: Entry, first: Entry) -> list[str]:
    facts = differing_facts(before.run.environment, first.run.environment)
    found = [f"{one.name}: {one.base} before, {one.head} here" for one in facts]
    if before.run.runtime != first.run.runtime:
        found.insert(0, f"runtime: {before.run.runtime} before, {first.run.runtime} here")
    return found


def _chart(trend: Trend, strategy: str, metric: Metric, runs: int) -> Markup:
    """The chart of one metric, or that there is none."""
    points = [
        replace(point, estimate=scaled(point.estimate, metric.scale)) for point in trend.points[metric.name]
    ]
    if not any(point.estimate.centre > 0 for point in points):
        return Markup('<p class="missing">{}</p>').format(text.MISSING)
    return chart(points, runs, f"{strategy}, {_case_label(trend)}, {metric.heading}")


def _strategy_label(trend: Trend, followed: Sequence[Trend]) -> str:
    """The strategy's name, with what is set, or promised, if runs give the name to something else too.

    A promise that is not exact is always said.
    """
    alike = [one for one in followed if one.strategy == trend.strategy]
    told = []
    if any(one.variant != trend.variant for one in alike):
        told.append(in_words(trend.variant) if trend.variant else "as configured")
    if trend.quality.promise != "exact" or any(one.quality != trend.quality for one in alike):
        told.append(in_short(Declared(trend.quality)))
    return f"{trend.strategy} ({', '.join(told)})" if told else trend.strategy


def _case_label(trend: Trend) -> str:
    """The case of a trend in words."""
    return f"{trend.case.payload_class}, {trend.case.encoding}, {trend.case.load}"


def _figures(runs: Sequence[Entry], followed: Sequence[Trend]) -> list[dict[str, object]]:
    """Every figure of every trend as rows of a table, the newest run first."""
    found = [
        (trend, entry, entry.summary.rows.get((trend.strategy, trend.case)))
        for trend in followed
        for entry in reversed(runs)
    ]
    return [
        {
            "strategy": _strategy_label(trend, followed),
            "case": _case_label(trend),
            "run": entry.name,
            "letter": letter(entry.group),
            "cells": [html.figure_cell(cells.measured(one)(row)) for one in metrics_in("trends")],
        }
        for trend, entry, row in found
        if row is not None and trend.is_of(entry.run)
    ]
