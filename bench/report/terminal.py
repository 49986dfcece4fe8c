"""The end of a run on a terminal: the sentence and one aligned table in plain text."""

import textwrap

from bench.model import Run
from bench.report import text
from bench.report.sentence import sentence
from bench.report.summary import Row, Summary, startup_s, summarise

WIDTH = 100
HEADER = ("payload", "strategy", "requests/s", "ratio", "p50 ms", "p99 ms", "CPU-ms", "MiB", "bad", "trials")


def render(run: Run) -> str:
    """The sentence, the table and what its columns mean, in 100 columns unless names are very long."""
    summary = summarise(run)
    lines = textwrap.wrap(sentence(run, summary), WIDTH)
    rows = [
        _cells(summary, summary.rows[name, case])
        for case in summary.cases
        for name in summary.strategies
        if (name, case) in summary.rows
    ]
    if rows:
        lines += ["", *_aligned([HEADER, *rows]), "", *textwrap.wrap(_legend(summary), WIDTH)]
    if run.strategies:
        lines += ["", *textwrap.wrap(_starts(run), WIDTH), *textwrap.wrap(_images(run), WIDTH)]
    return "\n".join(lines) + "\n"


def _cells(summary: Summary, row: Row) -> tuple[str, ...]:
    estimates = row.estimates
    memory = estimates["memory"]
    is_baseline = row.strategy == summary.baseline
    return (
        summary.case_label(row.case),
        row.strategy,
        text.estimate(estimates["throughput"]),
        "baseline" if is_baseline else text.ratio(row.to_baseline),
        text.number(estimates["p50"].centre if estimates["p50"] else None),
        text.number(estimates["p99"].centre if estimates["p99"] else None),
        text.number(estimates["cpu"].centre if estimates["cpu"] else None),
        text.number(memory.centre / text.MIB if memory else None),
        text.spaced(row.errors + row.wrong_answers),
        f"{row.valid_trials}/{row.valid_trials + row.invalid_trials}",
    )


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    text_columns = 2
    gap = "  " if sum(widths) + 2 * (len(HEADER) - 1) <= WIDTH else " "
    return [
        gap.join(
            cell.ljust(width) if column < text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


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


def _legend(summary: Summary) -> str:
    spread = "no intervals: one round" if summary.one_round else "in brackets: 95% intervals over rounds"
    return (
        f"ratio: requests/s to {summary.baseline or text.MISSING}, paired by round; {spread}; "
        "bad: failed requests and wrong answers; trials: valid of made."
    )
