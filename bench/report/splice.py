"""The README's block of a committed run, which `bench.docs` splices in."""

from bench.analysis.summary import Row, Summary, startup_s, summarise
from bench.model import Run
from bench.report import text
from bench.report.machine import machine_line
from bench.report.sentence import sentence
from bench.report.text import table

PER_STRATEGY = ("strategy", "what it is", "first correct answer, s", "image, compressed", "image, unpacked")
PICTURES = ("throughput", "latency", "pareto")


def results_block(run: Run, link: str, command: str) -> str:
    """The sentence, a table, the machine, the pictures below `link` and the commands that made it all."""
    summary = summarise(run)
    header = ["case", "strategy", "requests/s", f"ratio to {summary.baseline or text.MISSING}"]
    header += ["p50 ms", "p99 ms", "CPU-ms a request", "peak memory", "wrong answers"]
    rows = [
        _cells(summary, summary.rows[name, case])
        for case in summary.cases
        for name in summary.strategies
        if (name, case) in summary.rows
    ]
    spread = "One round: no intervals." if summary.one_round else "In brackets: 95% intervals over rounds."
    lines = [f"**{sentence(run, summary)}**", "", *table(header, rows, 2), ""]
    lines += [*table(PER_STRATEGY, [_strategy_cells(name, run) for name in run.strategies], 2), ""]
    lines += [f"Measured {machine_line(run)}. {spread}"]
    pictures = [*PICTURES, "load"] if summary.several_loads else PICTURES
    lines += ["", *(f"![{name}]({link}/plots/{name}.png)" for name in pictures), ""]
    lines += [f"From [{link}]({link}/report.md), made by `{run.command}` and spliced in by `{command}`."]
    return "\n".join(lines) + "\n"


def _strategy_cells(name: str, run: Run) -> list[str]:
    result = run.strategies[name]
    image = result.image
    return [
        name,
        result.title,
        text.estimate(startup_s(result)),
        text.mebibytes(image.compressed_bytes if image else None),
        text.mebibytes(image.unpacked_bytes if image else None),
    ]


def _cells(summary: Summary, row: Row) -> list[str]:
    memory = row.estimates["memory"]
    return [
        summary.case_label(row.case),
        row.strategy,
        text.estimate(row.estimates["throughput"]),
        "1" if row.strategy == summary.baseline else text.ratio(row.to_baseline),
        text.estimate(row.estimates["p50"]),
        text.estimate(row.estimates["p99"]),
        text.estimate(row.estimates["cpu"]),
        text.mebibytes(memory.centre if memory else None),
        text.spaced(row.wrong_answers),
    ]
