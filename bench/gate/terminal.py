"""The judgement on a terminal: a sentence, a table and every finding that is no pass, in plain text."""

import textwrap
from collections.abc import Sequence

from bench.gate import cells
from bench.gate.texts import overall
from bench.gate.values import Finding, Judgement
from bench.report.plain import one_line, printable

LEAST_WIDTH, MOST_WIDTH = 60, 200
LEAST_LABEL = 12
TEXT_COLUMNS = 2
HEADER = ("verdict", "what", "head to base", "let pass", "told apart from", "base", "head")


def render(judgement: Judgement, width: int = 100) -> str:
    """The judgement in lines of at most `width` columns, taken as 60 to 200; ends in a line break."""
    width = min(max(width, LEAST_WIDTH), MOST_WIDTH)
    blocks = [textwrap.wrap(overall(judgement), width)]
    if judgement.findings:
        blocks.append(_table([HEADER, *(_cells(finding) for finding in judgement.findings)], width))
    told = [_wrapped(finding, width) for finding in judgement.findings if finding.verdict != "pass"]
    blocks.append([line for lines in told for line in lines])
    # a run's own words may hold what moves a terminal's cursor
    return printable("\n\n".join("\n".join(lines) for lines in blocks if lines)) + "\n"


def _wrapped(finding: Finding, width: int) -> list[str]:
    lines = textwrap.wrap(f"{finding.verdict}: {finding.sentence}", width, subsequent_indent="  ")
    for note in finding.notes:
        lines += textwrap.wrap(note, width, initial_indent="  - ", subsequent_indent="    ")
    return lines


def _cells(finding: Finding) -> tuple[str, ...]:
    return (
        finding.verdict,
        one_line(cells.label(finding)),
        cells.ratio(finding),
        finding.bound,
        cells.detectable(finding),
        cells.figure(finding, finding.base),
        cells.figure(finding, finding.head),
    )


def _table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Aligned columns; where they are too wide, the last ones go, and then the ends of labels."""
    columns = len(rows[0])
    while columns > TEXT_COLUMNS + 1 and sum(_widths(rows, columns)) + 2 * (columns - 1) > width:
        columns -= 1
    widths = _widths(rows, columns)
    beyond = sum(widths) + 2 * (columns - 1) - width
    if beyond > 0:
        widths[1] = max(LEAST_LABEL, widths[1] - beyond)
    return [
        "  ".join(
            _cut(cell, size).ljust(size) if place < TEXT_COLUMNS else cell.rjust(size)
            for place, (cell, size) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    ]


def _widths(rows: Sequence[Sequence[str]], columns: int) -> list[int]:
    return [max(len(row[column]) for row in rows) for column in range(columns)]


def _cut(cell: str, size: int) -> str:
    return cell if len(cell) <= size else cell[: size - 1] + "\N{HORIZONTAL ELLIPSIS}"
