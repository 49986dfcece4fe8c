"""The end of a run on a terminal: the sentence and one aligned table in plain text."""

import textwrap

from bench.model import Run
from bench.report import text
from bench.report.cases import KIND_ORDER, Case
from bench.report.sentence import sentence
from bench.report.summary import Row, Summary, startup_s, summarise

WIDTH = 100
MOST_ROWS = 18
LEAST_LABEL = 12
RATE = 2
HEADER = ("payload", "strategy", "requests/s", "ratio", "p50 ms", "p99 ms", "CPU-ms", "MiB", "bad", "trials")


def render(run: Run) -> str:
    """The sentence, the table and what its columns mean, in 100 columns and on one screen."""
    summary = summarise(run)
    lines = textwrap.wrap(sentence(run, summary), WIDTH)
    cases = _shown(summary)
    rows = [
        _cells(summary, summary.rows[name, case])
        for case in cases
        for name in summary.strategies
        if (name, case) in summary.rows
    ]
    if rows:
        lines += ["", *_aligned([HEADER, *rows]), "", *textwrap.wrap(_legend(summary, cases), WIDTH)]
    if run.strategies:
        lines += ["", *textwrap.wrap(_starts(run), WIDTH), *textwrap.wrap(_images(run), WIDTH)]
    if run.objectives:
        lines += textwrap.wrap(_objectives(run), WIDTH)
    return "\n".join(lines) + "\n"


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


def _cells(summary: Summary, row: Row) -> tuple[str, ...]:
    estimates = row.estimates
    memory = estimates["memory"]
    return (
        summary.case_label(row.case),
        row.strategy,
        text.estimate(estimates["throughput"]),
        _ratio(summary, row),
        text.number(estimates["p50"].centre if estimates["p50"] else None),
        text.number(estimates["p99"].centre if estimates["p99"] else None),
        text.number(estimates["cpu"].centre if estimates["cpu"] else None),
        text.number(memory.centre / text.MIB if memory else None),
        text.spaced(row.errors + row.wrong_answers),
        f"{row.valid_trials}/{row.valid_trials + row.invalid_trials}",
    )


def _ratio(summary: Summary, row: Row) -> str:
    if not row.case.same_for_all:
        return "own rate"
    return "baseline" if row.strategy == summary.baseline else text.ratio(row.to_baseline)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """The rows in columns; where they are too wide, the rates' intervals go first, then ends of labels."""
    if _width(rows) > WIDTH:
        rows = [(*row[:RATE], row[RATE].split(" (")[0], *row[RATE + 1 :]) for row in rows]
    beyond = _width(rows) - WIDTH
    if beyond > 0:
        most = max(LEAST_LABEL, max(len(row[0]) for row in rows) - beyond)
        rows = [(_cut(row[0], most), *row[1:]) for row in rows]
    beyond = _width(rows) - WIDTH
    if beyond > 0:
        most = max(LEAST_LABEL, max(len(row[1]) for row in rows) - beyond)
        rows = [(row[0], _cut(row[1], most), *row[2:]) for row in rows]
    widths = _widths(rows)
    text_columns = 2
    gap = "  " if sum(widths) + 2 * (len(HEADER) - 1) <= WIDTH else " "
    return [
        gap.join(
            cell.ljust(width) if column < text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _widths(rows: list[tuple[str, ...]]) -> list[int]:
    return [max(len(row[column]) for row in rows) for column in range(len(HEADER))]


def _width(rows: list[tuple[str, ...]]) -> int:
    return sum(_widths(rows)) + len(HEADER) - 1


def _cut(label: str, most: int) -> str:
    return label if len(label) <= most else label[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


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
    return f"{text.objective(first.quantile, first.bound_ms)} held up to, requests/s: {', '.join(held)}"


def _legend(summary: Summary, shown: list[Case]) -> str:
    spread = "no intervals: one round" if summary.one_round else "in brackets: 95% intervals over rounds"
    left = len({case.load for case in summary.cases}) - len({case.load for case in shown})
    more = f"; {text.plural(left, 'more load')} in report.md" if left else ""
    return (
        f"ratio: requests/s to {summary.baseline or text.MISSING}, paired by round; {spread}; "
        f"bad: failed requests and wrong answers; trials: valid of made{more}."
    )
