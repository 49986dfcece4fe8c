"""Long trials: what grows or falls with a service's uptime, and what the windows do not stand for."""

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.uptimes import UptimeFigure, figures_of, grown_memory, looked_beyond
from bench.model import LongTrial, UptimeChange
from bench.report import cells, text
from bench.report.document import (
    Block,
    Cell,
    Paragraph,
    case_column,
    figures,
    name_column,
    paragraph,
    table,
)
from bench.report.text import DASH
from bench.statistics import Slope

HEADERS = {"throughput": "requests/s", "p50": "p50, ms", "p99": "p99, ms", "memory": "memory, MiB"}
HOW = paragraph(
    "One long trial of each strategy, from the first request on, so there is no interval over rounds. Each "
    "cell holds the figure of the first and of the last tenth of that time; in brackets the trend over all "
    "tenths, as a share of their median, with its 95% interval (Theil and Sen)."
)
SAME = "its throughput and p99 stand for what came later, as far as 10% and chance go"
NOTHING_LATER = "hardly any time lies after them, so whether they stand for what comes later is not known"


def uptimes(analysis: RunAnalysis) -> list[Block]:
    """A row for each long trial, and what its windows do not stand for; empty without long trials."""
    longs = analysis.run.longs
    if not longs:
        return []
    columns = [name_column("strategy"), case_column("case"), *figures("s", *HEADERS.values())]
    rows = [_row(one, analysis) for one in longs]
    return [table(columns, rows), HOW, *(_told(one, analysis) for one in longs)]


def _row(long: LongTrial, analysis: RunAnalysis) -> list[Cell]:
    trial = long.trial
    mark = analysis.summary.unchecked_mark(trial.payload_class)
    case = f"{trial.payload_class}, {trial.encoding}{mark}, {trial.load.label}"
    found = figures_of(long)
    return [
        cells.strategy(analysis.summary, trial.strategy),
        cells.words(case),
        cells.number(long.length_s),
        *(_figure(found[name], 1 / text.MIB if name == "memory" else 1.0) for name in HEADERS),
    ]


def _figure(found: UptimeFigure, scale: float) -> Cell:
    known = [value * scale for value in found.values if value is not None]
    if not known:
        return cells.MISSING
    shown = f"{text.number(known[0])} to {text.number(known[-1])}"
    return Cell(shown, _trend(found.trend), value=known[-1])


def _trend(slope: Slope | None) -> str:
    return "" if slope is None else f"{slope.centre:+.0%}: {slope.low:+.0%} {DASH} {slope.high:+.0%}"


def _told(long: LongTrial, analysis: RunAnalysis) -> Paragraph:
    trial = long.trial
    mark = analysis.summary.unchecked_mark(trial.payload_class)
    who = f"{trial.strategy}, {trial.payload_class}{mark}: "
    if not long.spans:
        return paragraph(who, "its long trial was not made.")
    covered = f"windows from {long.window_begin_s:.1f} to {long.window_end_s:.1f} s of uptime"
    return paragraph(f"{who}{'; '.join([covered, *_later(long), *_memory(long)])}.")


def _later(long: LongTrial) -> list[str]:
    """What came after the windows, and what is held against the long trial that says so."""
    held = [one for one in long.trial.reasons if one.voids][:1]
    told = [text.listing([_change(one) for one in long.changes])] if long.changes else []
    if not told and not held:
        told = [SAME if looked_beyond(long) else NOTHING_LATER]
    return [*told, *(f"its long trial is void: {one.text}" for one in held)]


def _memory(long: LongTrial) -> list[str]:
    grown = grown_memory(long)
    if grown is None:
        return []
    shown = _figure(figures_of(long)["memory"], 1 / text.MIB).text
    return [
        f"its memory grows, from {shown} MiB ({_trend(grown)}), and a window does not show where that ends"
    ]


def _change(one: UptimeChange) -> str:
    unit = "requests/s" if one.metric == "throughput" else "ms"
    return (
        f"{one.metric} is {text.number(one.beyond)} {unit} from {one.begin_s:.0f} to {one.end_s:.0f} s, and "
        f"{text.number(one.within)} in the windows ({one.beyond / one.within - 1:+.0%})"
    )
