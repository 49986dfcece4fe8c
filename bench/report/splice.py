"""`python -m bench.report.splice README.md results/<run>`: the README's table, taken from a committed run."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError, UsageError
from bench.model import Run
from bench.report import text
from bench.report.machine import machine_line
from bench.report.sentence import sentence
from bench.report.summary import Row, Summary, startup_s, summarise
from bench.report.text import table
from bench.run_file import read_run

BEGIN = "<!-- results:begin -->"
END = "<!-- results:end -->"
PER_STRATEGY = ("strategy", "what it is", "first correct answer, s", "image, compressed", "image, unpacked")
PICTURES = ("throughput", "latency")


def main(arguments: Sequence[str] | None = None) -> int:
    """Splice, or with --check say whether the text is stale; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.report.splice", description=__doc__)
    parser.add_argument("document", type=Path, help="the Markdown file with the two marks")
    parser.add_argument("folder", type=Path, help="the folder of a run")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where the text is stale")
    options = parser.parse_args(arguments)
    try:
        return _splice(options.document, options.folder, check=options.check)
    except BenchError as error:
        print(f"splice: {error}", file=sys.stderr)
        return error.exit_code


def spliced(document: str, block: str, name: str) -> str:
    """The document with what stands between its marks replaced; raises UsageError where a mark is missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{name} lacks {BEGIN} or, after it, {END}: add both where the results belong")
    return f"{before}{BEGIN}\n{block}{END}{after}"


def results_block(run: Run, link: str, command: str) -> str:
    """The sentence, a table, the machine, the pictures below `link` and the commands that made it all."""
    summary = summarise(run)
    header = ["payloads", "strategy", "requests/s", f"ratio to {summary.baseline or text.MISSING}"]
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


def _splice(document: Path, folder: Path, *, check: bool) -> int:
    try:
        old = document.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"no {document.name} here: run this from the repository's root") from None
    run = read_run(folder)
    link = Path(os.path.relpath(folder, document.parent)).as_posix()
    command = f"python -m bench.report.splice {document.name} {link}"
    new = spliced(old, results_block(run, link, command), document.name)
    if check and new != old:
        print(f"splice: {document.name} is stale: run `{command}`", file=sys.stderr)
        return 1
    if not check:
        document.write_text(new, encoding="utf-8")
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
