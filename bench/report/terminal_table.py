"""The terminal's table: its columns, and what it gives up, in which order, to fit a width."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

from bench.analysis.cases import Case
from bench.analysis.comparisons import compared
from bench.analysis.summary import Row, Summary
from bench.report import text
from bench.report.verdict_words import verdict_word

Form = Literal["full", "short"]
LEAST_LABEL = 12
INDENT = "  "


@dataclass(frozen=True, slots=True)
class Table:
    """The lines, none longer than was asked for; the headers of all columns shown, and of those left out."""

    lines: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column's header and its cells, one a row; in its short form figures have no intervals."""

    header: str
    full: tuple[str, ...]
    short: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """What there is to show, a row each: its case, its strategy, and its figures by the column's name."""

    cases: tuple[str, ...]
    strategies: tuple[str, ...]
    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Shape:
    """Which columns there are and in which form, how far apart, and whether cases have lines of their own.

    `most` is how long a strategy's name may be.
    """

    forms: Mapping[str, Form]
    most: int
    gap: int = 2
    grouped: bool = False


Change = Callable[[Shape], Shape]


def _to(name: str, form: Form | None) -> Change:
    """Give a column another form, or leave it out; one that is not there stays so."""

    def change(shape: Shape) -> Shape:
        forms = {one: (form if one == name else kept) for one, kept in shape.forms.items()}
        return replace(shape, forms={one: kept for one, kept in forms.items() if kept is not None})

    return change


# what is given up first stands first: intervals of figures that are read less, then figures
GIVING_UP: tuple[Change, ...] = (
    _to("memory", "short"),
    _to("p95", "short"),
    _to("p50", "short"),
    _to("cpu", "short"),
    _to("p95", None),
    _to("p99", "short"),
    lambda shape: replace(shape, gap=1),
    _to("memory", None),
    _to("throughput", "short"),
    _to("p50", None),
    lambda shape: replace(shape, grouped=True),
    _to("cpu", None),
    _to("trials", None),
    _to("verdict", None),
    _to("bad", None),
    _to("refused", None),
    lambda shape: replace(shape, most=min(shape.most, LEAST_LABEL)),
    _to("ratio", "short"),
    _to("p99", None),
)


def fitted(summary: Summary, cases: Sequence[Case], width: int) -> Table:
    """The rows of these cases in at most `width` columns; no lines where there are no rows."""
    names = [(name, case) for case in cases for name in summary.strategies if (name, case) in summary.rows]
    if not names:
        return Table()
    body = _body(summary, [summary.rows[name] for name in names])
    whole = Shape(dict.fromkeys(body.columns, "full"), max(map(len, body.strategies)))
    shape = _fit(body, whole, width)
    return Table(
        tuple(cut(line, width) for line in _lines(body, shape)),
        tuple(body.columns[name].header for name in shape.forms),
        tuple(one.header for name, one in body.columns.items() if name not in shape.forms),
    )


def cut(label: str, most: int) -> str:
    """The label, or as much of it as goes into `most` columns with the sign that there is more."""
    return label if len(label) <= most else label[: most - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _fit(body: Body, whole: Shape, width: int) -> Shape:
    """The shape that gives up as little as it can: what a later change made room for is taken back."""
    changes: list[Change] = []
    for change in GIVING_UP:
        if _width(body, _changed(whole, changes)) <= width:
            break
        changes.append(change)
    for change in changes[::-1]:
        others = [one for one in changes if one is not change]
        if _width(body, _changed(whole, others)) <= width:
            changes = others
    shape = _changed(whole, changes)
    spare = width - _width(body, shape)
    return replace(shape, most=min(whole.most, shape.most + max(0, spare)))


def _changed(shape: Shape, changes: Iterable[Change]) -> Shape:
    return reduce(lambda before, change: change(before), changes, shape)


def _body(summary: Summary, rows: Sequence[Row]) -> Body:
    """All that the rows have to show; no verdicts where nothing is compared, no refusals in closed loops."""
    verdicts = _verdicts(summary)
    columns = {
        "throughput": _estimates("requests/s", rows, "throughput"),
        "ratio": _figures("ratio", [_ratio(summary, row) for row in rows]),
        "verdict": _figures("verdict", [_verdict(summary, row, verdicts) for row in rows]),
        "p50": _estimates("p50 ms", rows, "p50"),
        "p95": _estimates("p95 ms", rows, "p95"),
        "p99": _estimates("p99 ms", rows, "p99"),
        "cpu": _estimates("CPU-ms", rows, "cpu"),
        "memory": _estimates("MiB", rows, "memory", 1 / text.MIB),
        "bad": _figures("bad", [text.spaced(row.errors + row.wrong_answers) for row in rows]),
        "refused": _figures("refused", [_refused(row) for row in rows]),
        "trials": _figures(
            "trials", [f"{row.valid_trials}/{row.valid_trials + row.invalid_trials}" for row in rows]
        ),
    }
    if not verdicts:
        del columns["verdict"]
    if all(row.refused is None for row in rows):
        del columns["refused"]
    cases = tuple(summary.case_label(row.case) for row in rows)
    return Body(cases, tuple(row.strategy for row in rows), columns)


def _estimates(header: str, rows: Sequence[Row], metric: str, scale: float = 1.0) -> Column:
    return _figures(header, [text.estimate(row.estimates[metric], scale) for row in rows])


def _figures(header: str, cells: Sequence[str]) -> Column:
    """A column whose short form is without the intervals in brackets; a verdict's rounds stay."""
    keep = header == "verdict"
    return Column(header, tuple(cells), tuple(cell if keep else cell.split(" (")[0] for cell in cells))


def _refused(row: Row) -> str:
    return text.MISSING if row.refused is None else text.spaced(row.refused)


def _ratio(summary: Summary, row: Row) -> str:
    if not row.case.same_for_all:
        return "own rate"
    return "baseline" if row.strategy == summary.baseline else text.ratio(row.to_baseline)


def _verdicts(summary: Summary) -> dict[tuple[str, Case], str]:
    """Of each strategy and case the verdict on throughput where clients wait, else on p99."""
    found = {}
    for one in () if summary.one_round else compared(summary):
        closed = one.case.kind == "closed"
        if one.outcome and one.metric == ("throughput" if closed else "p99"):
            word = verdict_word(one).split(":")[0]
            found[one.strategy, one.case] = word if closed else f"p99 {word}"
    return found


def _verdict(summary: Summary, row: Row, verdicts: Mapping[tuple[str, Case], str]) -> str:
    if row.strategy == summary.baseline:
        return "baseline"
    return verdicts.get((row.strategy, row.case), text.MISSING)


def _cells(body: Body, shape: Shape) -> list[list[str]]:
    """The header and the rows, as text."""
    columns = [
        [body.columns[name].header, *getattr(body.columns[name], form)] for name, form in shape.forms.items()
    ]
    strategies = ["strategy", *(cut(name, shape.most) for name in body.strategies)]
    if shape.grouped:
        labels = [[INDENT + name for name in strategies]]
    else:
        labels = [["case", *body.cases], strategies]
    return [list(row) for row in zip(*labels, *columns, strict=True)]


def _widths(cells: list[list[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*cells, strict=True)]


def _width(body: Body, shape: Shape) -> int:
    widths = _widths(_cells(body, shape))
    return sum(widths) + shape.gap * (len(widths) - 1)


def _lines(body: Body, shape: Shape) -> list[str]:
    cells = _cells(body, shape)
    widths, labels = _widths(cells), len(cells[0]) - len(shape.forms)
    header, *rows = (
        (" " * shape.gap)
        .join(
            cell.ljust(wide) if place < labels else cell.rjust(wide)
            for place, (cell, wide) in enumerate(zip(row, widths, strict=True))
        )
        .rstrip()
        for row in cells
    )
    if not shape.grouped:
        return [header, *rows]
    lines, before = [header], ""
    for case, row in zip(body.cases, rows, strict=True):
        lines += [row] if case == before else [case, row]
        before = case
    return lines
