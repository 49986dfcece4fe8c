"""The end of a run on a terminal: the sentence, one aligned table, and what speaks against its figures."""

import os
import re
import shutil
import sys
import textwrap

from bench.analysis.cases import KIND_ORDER, Case
from bench.analysis.doubt_counts import Doubt, doubts
from bench.analysis.summary import Summary, startup_s, summarise
from bench.model import Run, objective_label
from bench.report import text
from bench.report.sentence import sentence
from bench.report.terminal_table import Table, fitted

LEAST_WIDTH, USUAL_WIDTH, MOST_WIDTH = 60, 100, 200
# longer lines of prose are hard to read
MOST_PROSE = 120
MOST_ROWS = 18
MOST_DOUBTS = 5
INVALID = "INVALID"
COLOURS = {"31": f"{INVALID}|Invalid|slower|dearer", "32": "faster|cheaper", "33": "warning|not told apart"}


def render(run: Run, width: int | None = None, *, colour: bool | None = None) -> str:
    """The sentence, the table and what its columns mean, on one screen of 60 to 200 columns.

    Without a `width` it is the terminal's, 100 off a terminal; without `colour`, there is some where stdout
    is a terminal that shows it and NO_COLOR is not set. Colours only repeat what words say.
    """
    shown = "\n".join(_lines(run, columns(width))) + "\n"
    return _coloured(shown) if (_shows_colour() if colour is None else colour) else shown


def columns(width: int | None = None) -> int:
    """How wide to write: `width`, else COLUMNS or the terminal's, else 100, and at all events 60 to 200."""
    wanted = width or shutil.get_terminal_size((USUAL_WIDTH, 24)).columns
    return min(MOST_WIDTH, max(LEAST_WIDTH, wanted))


def _lines(run: Run, width: int) -> list[str]:
    prose, summary = min(width, MOST_PROSE), summarise(run)
    lines = textwrap.wrap(sentence(run, summary), prose)
    cases = _shown(summary)
    table = fitted(summary, cases, width)
    if table.lines:
        lines += ["", *table.lines, "", *textwrap.wrap(_legend(summary, cases, table), prose)]
    if run.strategies:
        lines += ["", *textwrap.wrap(_starts(run), prose), *textwrap.wrap(_images(run), prose)]
    if run.objectives:
        lines += textwrap.wrap(_objectives(run), prose)
    told = _doubts(run, prose)
    return [*lines, "", *told] if told else lines


def _shown(summary: Summary) -> list[Case]:
    """All cases where they fit one screen, else those of each kind's largest load, the run's own first."""
    if len(summary.rows) <= MOST_ROWS:
        return list(summary.cases)
    largest = {
        kind: max(c.size for c in summary.cases if c.kind == kind)
        for kind in KIND_ORDER
        if _has(summary, kind)
    }
    wanted = [case for case in summary.cases if case in summary.focus]
    wanted += [case for case in summary.cases if case not in wanted and case.size == largest[case.kind]]
    most = max(1, MOST_ROWS // max(1, len(summary.strategies)))
    return [case for case in summary.cases if case in wanted[:most]]


def _has(summary: Summary, kind: str) -> bool:
    return any(case.kind == kind for case in summary.cases)


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
    return "image, compressed of unpacked: " + ", ".join(sizes)


def _objectives(run: Run) -> str:
    """The rate up to which each strategy's objective held."""
    first = run.objectives[0]
    held = [
        f"{one.strategy} {text.number(one.rate_per_s) if one.rate_per_s is not None else 'never'}"
        + (f" ({one.payload_class})" if len({o.payload_class for o in run.objectives}) > 1 else "")
        for one in run.objectives
    ]
    return f"{objective_label(first.quantile, first.bound_ms)} held up to, requests/s: {', '.join(held)}"


def _legend(summary: Summary, shown: list[Case], table: Table) -> str:
    spread = "no intervals: one round" if summary.one_round else "in brackets: 95% intervals over rounds"
    left = len({case.load for case in summary.cases}) - len({case.load for case in shown})
    parts = [
        f"ratio: requests/s to {summary.baseline or text.MISSING}, paired by round",
        spread,
        "verdict: on requests/s unless it says p99" if "verdict" in table.headers else "",
        "bad: failed requests and wrong answers" if "bad" in table.headers else "",
        "refused: turned away with 429 or 503" if "refused" in table.headers else "",
        "trials: valid of made" if "trials" in table.headers else "",
        f"{text.plural(left, 'more load')} in report.md" if left else "",
        f"left out here for width: {', '.join(table.left_out)}" if table.left_out else "",
    ]
    return "; ".join(part for part in parts if part) + "."


def _doubts(run: Run, width: int) -> list[str]:
    """The gravest kinds of reasons not to believe the figures, each with its remedy."""
    found = doubts(run)
    lines = [
        line
        for one in found[:MOST_DOUBTS]
        for line in textwrap.wrap(_doubt(one), width, subsequent_indent="  ")
    ]
    more = len(found) - MOST_DOUBTS
    return [*lines, f"and {text.plural(more, 'more kind')} of warning in report.md"] if more > 0 else lines


def _doubt(one: Doubt) -> str:
    trials = one.invalid or one.valid
    word = INVALID if one.invalid else "warning"
    such = ", such as" if trials > 1 else ""
    many = f", {text.plural(trials, 'trial')} of {text.listing(list(one.strategies))}{such}" if trials else ""
    remedy = f"; remedy: {one.remedy}" if one.remedy else ""
    return f"{word}{many}: {one.example}{remedy}"


def _shows_colour() -> bool:
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") not in ("", "dumb")
    return wanted and sys.stdout.isatty()


def _coloured(shown: str) -> str:
    """The words of verdicts in colours, which take no columns."""
    for code, words in COLOURS.items():
        shown = re.sub(rf"\b({words})\b", f"\x1b[1;{code}m\\1\x1b[0m", shown)
    return shown
