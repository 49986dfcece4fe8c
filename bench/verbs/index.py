"""`bench index`: a page over all runs of a folder."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.verbs.argument_types import path

WIDTH = 80


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """The folder that holds the runs, and whether those without a valid trial are shown too."""

    folder: Path
    every: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `index`."""
    parser.add_argument(
        "folder",
        type=path,
        nargs="?",
        default=Path("results"),
        metavar="FOLDER",
        help="where runs are (results/)",
    )
    parser.add_argument("--all", action="store_true", help="show runs without a valid trial too")


def read(args: argparse.Namespace, _: Sequence[str]) -> IndexOptions:
    """The options of `index`."""
    return IndexOptions(args.folder, args.all)


def do(options: IndexOptions) -> int:
    """Write the page, say where it is, and list its runs."""
    from bench.report.index import Unreadable, hidden_runs, make_index
    from bench.report.index_rows import index_lines
    from bench.report.plain import one_line, printable

    def tell(one: Unreadable) -> None:
        print(one_line(f"left out: {one.name}: {one.why}"), file=sys.stderr)

    written = make_index(options.folder, tell, every=options.every)
    print(f"index   {written.path}")
    hidden = hidden_runs(written.hidden)
    for line in [*index_lines(written.rows, WIDTH), *([hidden] if hidden else [])]:
        print(printable(line))
    return 0
