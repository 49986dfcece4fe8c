"""A comparison of two runs for a terminal and for a pull request."""

import textwrap
from collections.abc import Sequence
from itertools import groupby

from bench.report import text
from bench.report.between.values import METRICS, Between, Counted, Measured
from bench.report.exports.folds import within_comment
from bench.report.exports.plain import printable, without_links
from bench.report.text import MISSING, table

WIDTH = 100
NOTE = (
    "Ratios are head to base with 95% intervals by Welch's t on logs: the rounds of two runs do not pair. "
    "What changed on the machine between the runs is in the ratios and not in their intervals: `bench gate` "
    "alternates both. Detectable: the least difference that so many rounds find in 80 of 100 runs. Verdicts "
    "are corrected over all comparisons (Holm); a star marks what differs on its own and does not stand "
    "among so many. Counts and sizes are compared exactly. Base and head show medians, of requests/s and "
    "CPU-ms geometric means; the ratios are of geometric means. n/a was not measured."
)
OWN_RATES = "Under a share of capacity each run has a rate of its own."
HEADER = ("metric", "base", "head", "ratio", "detectable", "verdict")


def as_text(found: Between) -> str:
    """Plain text in 100 columns; the first lines say what is doubtful."""
    lines = _wrapped(f"DOUBTFUL: {'; '.join(found.doubts)}.") if found.doubts else []
    lines += _wrapped(found.sentence)
    lines += ["", *_wrapped(f"base  {found.base_name}: {found.machines[0]}", "      ")]
    lines += _wrapped(f"head  {found.head_name}: {found.machines[1]}", "      ")
    for title, rows in _groups(found):
        lines += ["", title, *_aligned([HEADER, *rows])]
    for title, names in _lone(found):
        lines += ["", *_wrapped(f"{title}: {'; '.join(names)}.", "  ")]
    if found.differing:
        facts = [(one.name, one.base, one.head) for one in found.differing]
        lines += ["", "What is not alike:", *_facts(facts)]
    lines += ["", *_wrapped(_note(found).replace("`", ""))]
    return printable("\n".join(lines)) + "\n"


def as_markdown(found: Between) -> str:
    """For a pull request, without links or HTML of the runs' own; the first line says what is doubtful."""
    top = [f"**Doubtful: {'; '.join(found.doubts)}.**", ""] if found.doubts else []
    top += [found.sentence, "", f"- base: {found.base_name}, measured {found.machines[0]}"]
    top += [f"- head: {found.head_name}, measured {found.machines[1]}", ""]
    rows = [[title, *cells] for title, group in _groups(found) for cells in group]
    body = table(("strategy", *HEADER), rows, 2) if rows else ["Nothing is in both runs."]
    for title, names in _lone(found):
        body += ["", f"{title}: {'; '.join(names)}."]
    facts = [[one.name, one.base, one.head] for one in found.differing]
    folds = {"What the figures say": [_note(found)]}
    folds |= {"What is not alike": table(("fact", "base", "head"), facts, 3)} if facts else {}
    return within_comment("\n".join(map(without_links, [*top, *body])) + "\n", folds)


def _note(found: Between) -> str:
    return f"{NOTE} {OWN_RATES}" if found.own_rates else NOTE


def _lone(found: Between) -> list[tuple[str, Sequence[str]]]:
    sides = ("Only in base", found.only_base), ("Only in head", found.only_head)
    return [(title, names) for title, names in sides if names]


def _groups(found: Between) -> list[tuple[str, list[tuple[str, ...]]]]:
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
        return one.what, _count(one, 0), _count(one, 1), _exact_ratio(one), "", one.word or MISSING
    scale = 1 / text.MIB if one.metric == "memory" else 1.0
    sides = text.estimate(one.base, scale), text.estimate(one.head, scale)
    effect = one.comparison.minimal_detectable_effect if one.comparison else None
    detectable = MISSING if effect is None else f"±{text.percent(effect)}"
    return METRICS[one.metric].label, *sides, text.ratio(one.comparison), detectable, one.word or MISSING


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


def _wrapped(line: str, indent: str = "") -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows in columns, verdicts last; where they are too wide, the sides' own intervals go."""
    widths = _widths(rows)
    if sum(widths) + 2 * len(widths) > WIDTH:
        rows = [(row[0], *(side.split(" (")[0] for side in row[1:3]), *row[3:]) for row in rows]
        widths = _widths(rows)
    lines = []
    for row in rows:
        first, *figures, verdict = row
        cells = [cell.rjust(width) for cell, width in zip(figures, widths[1:-1], strict=True)]
        lines.append("  " + "  ".join([first.ljust(widths[0]), *cells, verdict]).rstrip())
    return lines


def _widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(len(row[column]) for row in rows) for column in range(len(HEADER))]


def _facts(facts: Sequence[tuple[str, str, str]]) -> list[str]:
    arrow = "\N{RIGHTWARDS ARROW}"
    return [
        line
        for name, base, head in facts
        for line in textwrap.wrap(f"  {name}: {base} {arrow} {head}", WIDTH, subsequent_indent="    ")
    ]
