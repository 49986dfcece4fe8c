"""A comparison of two runs for a terminal and for a pull request."""

import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby

from bench.analysis.run_comparison import METRICS, Counted, Measured, RunComparison
from bench.report import text
from bench.report.between.doubts import doubts
from bench.report.between.sentence import sentence
from bench.report.exports.folds import within_comment
from bench.report.machine import machine_line
from bench.report.plain import printable, without_links
from bench.report.terminal import MOST_PROSE, columns
from bench.report.text import MISSING, table
from bench.report.verdict_words import counted_word, measured_word
from bench.report.writers.terminal import INDENT, cut

GAP = "  "
NOTE = (
    "Ratios are head to base with 95% intervals by Welch's t on logs: the rounds of two runs do not pair. "
    "What changed on the machine between the runs is in the ratios and not in their intervals: `bench gate` "
    "alternates both. Detectable: the smallest detectable difference, which so many rounds find in 80 of "
    "100 runs. Verdicts are corrected over all comparisons (Holm); a star marks what differs on its own and "
    "does not stand among so many. Counts and sizes are compared exactly. Base and head show medians, of "
    "requests/s and CPU-ms geometric means; the ratios are of geometric means. n/a was not measured."
)
OWN_RATES = "Under a share of capacity each run has a rate of its own."
HEADER = ("metric", "base", "head", "ratio", "detectable", "verdict")


def as_text(found: RunComparison, width: int | None = None) -> str:
    """Plain text as wide as the terminal, 60 to 200 columns; the first lines say what is doubtful."""
    wide = columns(width)
    prose = min(wide, MOST_PROSE)
    doubtful = doubts(found)
    lines = _wrapped(f"DOUBTFUL: {'; '.join(doubtful)}.", prose) if doubtful else []
    lines += _wrapped(sentence(found), prose)
    lines += ["", *_wrapped(f"base  {found.base_name}: {machine_line(found.base)}", prose, "      ")]
    lines += _wrapped(f"head  {found.head_name}: {machine_line(found.head)}", prose, "      ")
    for title, rows in _groups(found):
        lines += ["", *_wrapped(title, prose), *_aligned([HEADER, *rows], wide)]
    for title, names in _lone(found):
        lines += ["", *_wrapped(f"{title}: {'; '.join(names)}.", prose, "  ")]
    if found.differing:
        facts = [(one.name, one.base, one.head) for one in found.differing]
        lines += ["", "What is not alike:", *_facts(facts, prose)]
    lines += ["", *_wrapped(_note(found).replace("`", ""), prose)]
    return printable("\n".join(lines)) + "\n"


def as_markdown(found: RunComparison) -> str:
    """For a pull request, without links or HTML of the runs' own; the first line says what is doubtful."""
    doubtful = doubts(found)
    top = [f"**Doubtful: {'; '.join(doubtful)}.**", ""] if doubtful else []
    top += [sentence(found), "", f"- base: {found.base_name}, measured {machine_line(found.base)}"]
    top += [f"- head: {found.head_name}, measured {machine_line(found.head)}", ""]
    rows = [[title, *cells] for title, group in _groups(found) for cells in group]
    body = table(("strategy", *HEADER), rows, 2) if rows else ["Nothing is in both runs."]
    for title, names in _lone(found):
        body += ["", f"{title}: {'; '.join(names)}."]
    facts = [[one.name, one.base, one.head] for one in found.differing]
    folds = {"What the figures say": [_note(found)]}
    folds |= {"What is not alike": table(("fact", "base", "head"), facts, 3)} if facts else {}
    return within_comment("\n".join(map(without_links, [*top, *body])) + "\n", folds)


def _note(found: RunComparison) -> str:
    return f"{NOTE} {OWN_RATES}" if found.own_rates else NOTE


def _lone(found: RunComparison) -> list[tuple[str, Sequence[str]]]:
    sides = ("Only in base", found.only_base), ("Only in head", found.only_head)
    return [(title, names) for title, names in sides if names]


def _groups(found: RunComparison) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Rows under the strategy and the case that they are of."""
    everything: list[Measured | Counted] = [*found.measured, *filter(_is_shown, found.counted)]
    # a group's measured and counted rows stand together, where its first one stood
    places = dict.fromkeys((one.strategy, one.place) for one in everything)
    order = {place: number for number, place in enumerate(places)}
    ordered = sorted(everything, key=lambda one: order[one.strategy, one.place])
    return [
        (f"{strategy}, {place}", [_cells(one) for one in group])
        for (strategy, place), group in groupby(ordered, key=lambda one: (one.strategy, one.place))
    ]


def _is_shown(one: Counted) -> bool:
    """Failed requests are shown where there are any, wrong answers and sizes always."""
    return one.what != "failed requests" or bool(one.base or one.head)


def _cells(one: Measured | Counted) -> tuple[str, ...]:
    if isinstance(one, Counted):
        return one.what, _count(one, 0), _count(one, 1), _exact_ratio(one), "", counted_word(one) or MISSING
    scale = 1 / text.MIB if one.metric == "memory" else 1.0
    sides = text.estimate(one.base, scale), text.estimate(one.head, scale)
    effect = one.comparison.minimal_detectable_effect if one.comparison else None
    detectable = MISSING if effect is None else f"±{text.percent(effect)}"
    return (
        METRICS[one.metric].label,
        *sides,
        text.ratio(one.comparison),
        detectable,
        measured_word(one) or MISSING,
    )


def _count(one: Counted, side: int) -> str:
    value = (one.base, one.head)[side]
    if value is None:
        return MISSING
    return text.spaced(value) + (f" of {text.spaced(one.of[side])}" if one.of else "")


def _exact_ratio(one: Counted) -> str:
    """Of sizes to four decimals, which shows a change of a few kilobytes; of counts none."""
    if one.of or one.head is None or not one.base:
        return ""
    return f"{one.head / one.base:.4f}{text.TIMES}"


def _wrapped(line: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent=indent)


def _aligned(rows: Sequence[tuple[str, ...]], width: int) -> list[str]:
    """Rows in columns, verdicts last; where they are too wide, they give up what is read least, in order."""
    for change in GIVING_UP:
        if _width(rows, GAP) <= width:
            break
        rows = [change(row) for row in rows]
    widths, gap = _widths(rows), GAP if _width(rows, GAP) <= width else " "
    lines = []
    for row in rows:
        first, *figures, verdict = row
        cells = [cell.rjust(wide) for cell, wide in zip(figures, widths[1:-1], strict=True)]
        lines.append(cut(INDENT + gap.join([first.ljust(widths[0]), *cells, verdict]).rstrip(), width))
    return lines


def _short(row: tuple[str, ...], first: int, last: int, sign: str) -> tuple[str, ...]:
    """The row whose cells from `first` to `last` end before the sign."""
    return tuple(cell.split(sign)[0] if first <= place <= last else cell for place, cell in enumerate(row))


# the sides' own intervals, what could be detected, of how many a count is, and the ratio's interval
GIVING_UP: tuple[Callable[[tuple[str, ...]], tuple[str, ...]], ...] = (
    lambda row: _short(row, 1, 2, " ("),
    lambda row: (*row[:4], *row[5:]),
    lambda row: _short(row, 1, 2, " of "),
    lambda row: _short(row, 3, 3, " ("),
)


def _widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _width(rows: Sequence[tuple[str, ...]], gap: str) -> int:
    widths = _widths(rows)
    return len(INDENT) + sum(widths) + len(gap) * (len(widths) - 1)


def _facts(facts: Sequence[tuple[str, str, str]], width: int) -> list[str]:
    arrow = "\N{RIGHTWARDS ARROW}"
    return [
        line
        for name, base, head in facts
        for line in textwrap.wrap(f"{INDENT}{name}: {base} {arrow} {head}", width, subsequent_indent="    ")
    ]
