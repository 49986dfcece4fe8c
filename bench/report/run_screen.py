"""The end of a run on a terminal: one aligned table, what speaks against its figures, and whom to choose."""

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

from rich.text import Text

from bench.analysis.bare_loops import limit_shares
from bench.analysis.cases import KIND_ORDER, Case
from bench.analysis.comparisons import Compared, NotCompared, compared, not_compared, to_baseline
from bench.analysis.doubt_counts import DoubtCount, doubts, folded
from bench.analysis.image_overlap import pytorch_builds
from bench.analysis.metrics import METRICS, Metric, Room
from bench.analysis.starts import startup_s
from bench.analysis.summary import Row, Summary, equal_rates, rows_at, summarise
from bench.model import Run, SloResult, objective_label
from bench.report import cells, key_loads, text
from bench.report.choice_sentence import choice_sentence
from bench.report.document import Cell, Column, Table, case_column, name_column, tabulated
from bench.report.doubt_words import of_whom
from bench.report.key_table import quality, ratio_heading
from bench.report.quality_words import DAGGER, OTHER_QUALITY
from bench.report.sentence import checked
from bench.report.verdict_words import short_verdict_word
from bench.report.writers import terminal as writer
from bench.report.writers.terminal import CASES, GAP, NAMES, Loss, Shape, fitted, shown

LEAST_WIDTH, USUAL_WIDTH, MOST_WIDTH = 60, 100, 200
# longer lines of prose are hard to read
MOST_PROSE = 120
MOST_ROWS = 18
MOST_DOUBTS = 5
# what one looks at without scrolling, at the usual width: the same words take more lines on a narrow terminal
MOST_LINES = 40
INVALID = "INVALID"
BUSY = "busy"
QUALITY = "quality"
OVERLOADED = "overloaded"
# what is given up beside the metrics, by rank: those have ranks of their own
GIVING_UP: tuple[tuple[int, Loss], ...] = (
    (70, GAP),
    (110, CASES),
    (125, ("column", BUSY)),
    (130, ("column", "trials")),
    (140, ("column", "verdict")),
    (150, ("column", "bad")),
    (160, ("column", "refused")),
    (155, ("column", OVERLOADED)),
    (170, NAMES),
    (175, ("column", QUALITY)),
    (180, ("intervals", "ratio")),
)


def render(run: Run, width: int | None = None, *, colour: bool | None = None) -> str:
    """The table, what its columns mean, and whom to choose, on one screen of 60 to 200 columns.

    Without a `width` it is the terminal's, 100 off a terminal; without `colour`, there is some if stdout is
    a terminal that shows it and NO_COLOR is not set. Colours only repeat what words say.
    """
    lines = _lines(run, columns(width))
    return writer.written(lines, colour=_shows_colour() if colour is None else colour)


def columns(width: int | None = None) -> int:
    """How wide to write: `width`, else COLUMNS or the terminal's, else 100, and at all events 60 to 200."""
    wanted = width or shutil.get_terminal_size((USUAL_WIDTH, 24)).columns
    return min(MOST_WIDTH, max(LEAST_WIDTH, wanted))


def _lines(run: Run, width: int) -> list[Text]:
    """The screen; if it is too long, without some loads and then some warnings, whose number it tells."""
    prose, summary = min(width, MOST_PROSE), summarise(run)
    facts, ending = _facts(run, summary, prose), _ending(run, summary, prose)
    told, most = folded(run, doubts(run)), MOST_DOUBTS
    cases = _shown_cases(summary)
    table, warnings = _table(summary, cases, width), _doubts(told, most, prose)
    room = _room(width) - len(facts) - len(ending)
    while len(cases) > 1 and _length(table, warnings) > room:
        cases = _most_wanted(summary, len(cases) - 1)
        table = _table(summary, cases, width)
    while most > 1 and _length(table, warnings) > room:
        most -= 1
        warnings = _doubts(told, most, prose)
    blocks = [block for block in (table, facts, warnings, ending) if block]
    return [line for block in blocks for line in (Text(), *block)][1:]


def _room(width: int) -> int:
    """How many lines a screen of this width has, but for the blank lines between its four parts."""
    return MOST_LINES * USUAL_WIDTH // min(width, USUAL_WIDTH) - 3


def _length(*blocks: Sequence[Text]) -> int:
    return sum(map(len, blocks))


def _table(summary: Summary, cases: Sequence[Case], width: int) -> list[Text]:
    """The table of these cases, and what its columns mean; nothing if they have no rows."""
    table = table_of(summary, cases)
    if table is None:
        return []
    shape = fitted(table, width, giving_up())
    legend = _wrapped(_legend(summary, cases, table, shape), min(width, MOST_PROSE))
    return [*writer.lines(shape, width), Text(), *legend]


def _facts(run: Run, summary: Summary, prose: int) -> list[Text]:
    """What was measured beside the loads: starts, images, bare loops, and the rate up to which it held."""
    lines = [*_wrapped(_starts(run), prose), *_wrapped(_images(run), prose)] if run.strategies else []
    lines += _wrapped(_limits(run, summary), prose)
    return [*lines, *(_wrapped(_objectives(run), prose) if run.objectives else [])]


def _ending(run: Run, summary: Summary, prose: int) -> list[Text]:
    """How much was checked, and whom to choose."""
    marked = "Invalid" if run.trials and not summary.valid_trials else ""
    return [
        *_wrapped(checked(run, summary), prose),
        *_wrapped(choice_sentence(run, summary), prose, marked=marked),
    ]


def _wrapped(
    prose: str, width: int, indent: str = "", marked: str = "", style: str = writer.WORSE
) -> list[Text]:
    """Lines of at most this width; `marked` is the word at the begin that has a style."""
    lines = [Text(line) for line in textwrap.wrap(prose, width, subsequent_indent=indent)]
    if lines:
        lines[0].stylize(style, 0, len(marked))
    return lines


def _shown_cases(summary: Summary) -> list[Case]:
    """All cases if they fit one screen, else those of each kind's largest load, the run's own first."""
    if len(summary.rows) <= MOST_ROWS:
        return list(summary.cases)
    return _most_wanted(summary, max(1, MOST_ROWS // max(1, len(summary.strategies))))


def _most_wanted(summary: Summary, most: int) -> list[Case]:
    """So many cases: those that stand for the run before all others."""
    largest = {
        kind: max((case.size for case in summary.cases if case.kind == kind), default=0.0)
        for kind in KIND_ORDER
    }
    wanted = [case for case in summary.cases if case in summary.focus]
    wanted += [case for case in equal_rates(summary).values() if case not in wanted]
    wanted += [case for case in summary.cases if case not in wanted and case.size == largest[case.kind]]
    return [case for case in summary.cases if case in wanted[:most]]


def table_of(summary: Summary, cases: Sequence[Case]) -> Table | None:
    """The rows of these cases; no verdicts if nothing is compared, no refusals in closed loops."""
    rows = rows_at(summary, cases)
    if not rows:
        return None
    verdicts = _verdicts(summary)
    unequal = {(one.pairing.strategy, one.pairing.case) for one in _unequal(summary)}
    throughput, *others = (metric for metric, _ in _metrics())
    cases_are = "case" if summary.several_loads else "payloads"
    fields = {
        **(
            {}
            if _one_of_several(summary, cases)
            else {case_column(cases_are): lambda row: cells.words(summary.case_label(row.case))}
        ),
        name_column("strategy"): lambda row: cells.words(row.strategy),
        **({} if summary.all_exact else {Column(QUALITY, "text"): lambda row: quality(summary, row)}),
        Column(_header(throughput)): cells.measured(throughput),
        **({Column("ratio"): lambda row: _ratio(summary, row)} if len(summary.strategies) > 1 else {}),
        **(
            {Column("verdict"): lambda row: _verdict(summary, row, verdicts, unequal)}
            if verdicts or unequal
            else {}
        ),
        **({Column(BUSY): _busy} if any(row.utilisation for row in rows) else {}),
        **{Column(_header(one)): cells.measured(one) for one in others},
        Column("bad"): lambda row: cells.count(row.errors + row.wrong_answers),
        **(
            {Column("refused"): lambda row: cells.count(row.refused)}
            if any(row.refused is not None for row in rows)
            else {}
        ),
        **({Column(OVERLOADED): _overloaded} if not verdicts and any(row.overloaded for row in rows) else {}),
        Column("trials"): lambda row: Cell(f"{row.valid_trials}/{row.valid_trials + row.invalid_trials}"),
    }
    return tabulated(rows, fields.items())


def _one_of_several(summary: Summary, cases: Sequence[Case]) -> bool:
    """Whether all rows are of one case of several, which the legend then tells once."""
    return len(cases) == 1 < len(summary.cases)


def _overloaded(row: Row) -> Cell:
    """In how many trials the row was overloaded; blank if in none."""
    return Cell(f"{row.overloaded_trials}/{row.made_trials}") if row.overloaded else cells.BLANK


def giving_up() -> list[Loss]:
    """What is given up first stands first: intervals of figures that are read less, then figures."""
    ranked = list(GIVING_UP)
    for metric, room in _metrics():
        header = _header(metric)
        ranked.append((room.interval_rank, ("intervals", header)))
        if room.column_rank is not None:
            ranked.append((room.column_rank, ("column", header)))
    return [loss for _, loss in sorted(ranked)]


def _metrics() -> list[tuple[Metric, Room]]:
    """The metrics that have room on a terminal."""
    return [(metric, metric.room) for metric in METRICS.values() if metric.room is not None]


def _header(metric: Metric) -> str:
    return metric.short_heading or metric.heading


def _ratio(summary: Summary, row: Row) -> Cell:
    if not row.case.same_for_all:
        return cells.OWN_RATE
    return Cell("baseline") if row.strategy == summary.baseline else cells.to_baseline(summary, row)


def _verdicts(summary: Summary) -> dict[tuple[str, Case], Compared]:
    """The verdict for each strategy and case: on throughput if clients wait, else on p99."""
    return {
        (one.strategy, one.case): one
        for one in (() if summary.one_round else to_baseline(compared(summary)))
        if one.outcome is not None and one.metric == ("throughput" if one.case.kind == "closed" else "p99")
    }


def _busy(row: Row) -> Cell:
    """The share of capacity that an open load reached, without its interval, which is in report.md."""
    if row.utilisation is None:
        return cells.BLANK
    return Cell(f"{100 * row.utilisation.centre:.0f}%", value=row.utilisation.centre)


def _unequal(summary: Summary) -> list[NotCompared]:
    """Who is not compared with the baseline."""
    every = () if summary.one_round else not_compared(summary)
    return [one for one in every if one.pairing.relation == "baseline"]


def _verdict(
    summary: Summary,
    row: Row,
    verdicts: Mapping[tuple[str, Case], Compared],
    unequal: set[tuple[str, Case]],
) -> Cell:
    if row.overloaded:
        return Cell(f"{OVERLOADED} {row.overloaded_trials}/{row.made_trials}")
    if row.strategy == summary.baseline:
        return Cell("baseline")
    if (row.strategy, row.case) in unequal:
        return Cell("not compared")
    one = verdicts.get((row.strategy, row.case))
    if one is None:
        return cells.MISSING
    prefix = "" if row.case.kind == "closed" else "p99 "
    marked = "" if one.same_work else DAGGER
    return Cell(f"{prefix}{short_verdict_word(one)}{marked}", tone=cells.tone(one))


def _starts(run: Run) -> str:
    starts = {name: startup_s(result) for name, result in run.strategies.items()}
    return "start, s: " + ", ".join(f"{name} {text.estimate(found)}" for name, found in starts.items())


def _images(run: Run) -> str:
    """Sizes of images, compressed of unpacked."""
    sizes = []
    for name, result in run.strategies.items():
        image = result.image
        compressed = text.mebibytes(image.compressed_bytes if image else None)
        sizes.append(
            f"{name} {compressed} of {text.mebibytes(image.unpacked_bytes)}" if image else f"{name} n/a"
        )
    builds = [
        f"PyTorch of {', '.join(names)} is its build {'for CPUs' if build == 'CPU' else 'with CUDA'}"
        for build, names in pytorch_builds(run).items()
    ]
    return "; ".join(["image, compressed of unpacked: " + ", ".join(sizes), *builds])


def _limits(run: Run, summary: Summary) -> str:
    """Each strategy's share of its own bare loop, by requests/s, or by CPU time if a schedule sets these."""
    told: dict[str, list[str]] = {}
    for one in limit_shares(run, summary):
        share = one.of_cpu if one.row.case.at_due_times else one.of_rate
        if share is not None:
            of = summary.payload_label(one.row.case)
            told.setdefault(of, []).append(f"{one.row.strategy} {text.percent(share.centre)}")
    several = len(summary.focus) > 1
    clauses = [f"{of}: {', '.join(shares)}" if several else ", ".join(shares) for of, shares in told.items()]
    return f"of its own bare loop: {'; '.join(clauses)}" if clauses else ""


def _objectives(run: Run) -> str:
    """The rate up to which each strategy's objective held."""
    first = run.objectives[0]
    several = len({(one.payload_class, one.encoding) for one in run.objectives}) > 1
    held = [
        f"{one.strategy} {_held(one)}" + (f" ({text.searched_payloads(run, one)})" if several else "")
        for one in run.objectives
    ]
    return f"{objective_label(first.quantile, first.bound_ms)} held up to, requests/s: {', '.join(held)}"


def _held(one: SloResult) -> str:
    if one.rate_per_s is not None:
        return text.number(one.rate_per_s)
    return "never" if one.known else "not known"


def _legend(summary: Summary, cases: Sequence[Case], table: Table, shape: Shape) -> str:
    shown_headers = shown(shape).figure_headers
    left_out = [header for header in table.figure_headers if header not in shown_headers]
    more = len({case.load for case in summary.cases}) - len({case.load for case in cases})
    parts = [
        f"each row: {summary.case_label(cases[0])}" if _one_of_several(summary, cases) else "",
        "" if summary.several_loads or not summary.focus else f"load: {key_loads.loads(summary)}",
        f"ratio: {ratio_heading(summary)}, by round" if len(summary.strategies) > 1 else "",
        "" if summary.one_promise else OTHER_QUALITY,
        "no intervals: one round" if summary.one_round else "in brackets: 95% intervals over rounds",
        "verdict: on requests/s, or p99 if named" if "verdict" in shown_headers else "",
        "busy: of capacity" if BUSY in shown_headers else "",
        "bad: failed or wrong" if "bad" in shown_headers else "",
        f"refused: {text.REFUSED}" if "refused" in shown_headers else "",
        "overloaded: in so many trials, and figures are least to most"
        if any(row.overloaded for row in rows_at(summary, cases))
        else "",
        "trials: valid of made" if "trials" in shown_headers else "",
        f"{text.plural(more, 'more load')} in report.md" if more else "",
        f"left out here for width: {', '.join(left_out)}" if left_out else "",
    ]
    return "; ".join(part for part in parts if part) + "."


def _doubts(found: Sequence[DoubtCount], most: int, width: int) -> list[Text]:
    """The gravest kinds of reasons not to believe the figures, each with its remedy."""
    lines = [line for one in found[:most] for line in _doubt(one, width)]
    more = len(found) - most
    return (
        [*lines, Text(f"and {text.plural(more, 'more kind')} of warning in report.md")] if more > 0 else lines
    )


def _doubt(one: DoubtCount, width: int) -> list[Text]:
    word, style = (INVALID, writer.WORSE) if one.voided else ("warning", writer.DOUBTFUL)
    remedy = f"; remedy: {one.example.remedy}" if one.example.remedy else ""
    return _wrapped(f"{word}{of_whom(one)}: {one.example.text}{remedy}", width, "  ", word, style)


def _shows_colour() -> bool:
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") not in ("", "dumb")
    return wanted and sys.stdout.isatty()
