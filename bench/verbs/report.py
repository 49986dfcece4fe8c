"""`bench report`: write the report of a run's folder again, or print one format of it."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.model import Run
from bench.report.formats import PRINTED
from bench.verbs.argument_types import name, path
from bench.verbs.arguments import add_json


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """The run's folder; with a format, nothing is written and that is printed."""

    folder: Path
    format: str | None
    as_json: bool
    baseline: str | None = None


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `report`."""
    add = parser.add_argument
    add("folder", type=path, metavar="FOLDER", help="a folder that `run` wrote")
    add("--format", choices=PRINTED, help="write nothing, print this")
    add("--baseline", type=name, metavar="NAME", help="compare with this strategy first (as the run says)")
    add_json(parser)


def read(args: argparse.Namespace, _: Sequence[str]) -> ReportOptions:
    """The options of `report`."""
    return ReportOptions(args.folder, args.format, args.json, args.baseline)


def do(options: ReportOptions) -> int:
    """Write the report and print its summary, or print one format."""
    from bench.analysis.summary import with_baseline
    from bench.run_file import read_run
    from bench.verbs.stored import computed_with

    run = with_baseline(read_run(options.folder), options.baseline)
    with computed_with(options.folder):
        if options.format is None:
            write_and_print(run, options.folder, as_json=options.as_json)
            return 0
        from bench.analysis.run_analysis import analyse
        from bench.report.report import report_of

        report = report_of(analyse(run, options.folder), options.folder)
        print(PRINTED[options.format](report), end="")
    return 0


def write_and_print(run: Run, folder: Path, *, as_json: bool) -> None:
    """Write a run's report and print its summary: a table and the paths, or one JSON document."""
    from bench.report import terminal_summary, write_report
    from bench.report.json_summary import summary_json

    written = write_report(folder, run=run)
    if as_json:
        files = [path.relative_to(folder).as_posix() for path in written]
        print(json.dumps(summary_json(run, folder.name, files), indent=1, allow_nan=False))
        return
    print(terminal_summary(run), end="")
    # a few lines, so that whom to choose is still seen above them
    print(f"\npage    {folder / 'report.html'}")
    print(f"report  {folder / 'report.md'}")
    if pictures := sum(1 for _ in folder.rglob("*.png")):
        print(f"plots   {folder / 'plots'}, {pictures} pictures")
