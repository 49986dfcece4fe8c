"""`bench index`: a page over all runs of a folder."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.verbs.argument_types import path


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """The folder that holds the runs."""

    folder: Path


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


def read(args: argparse.Namespace, _: Sequence[str]) -> IndexOptions:
    """The options of `index`."""
    return IndexOptions(args.folder)


def do(options: IndexOptions) -> int:
    """Write the page and say where it is."""
    from bench.report.index import Unreadable, write_index
    from bench.report.plain import one_line

    def tell(one: Unreadable) -> None:
        print(one_line(f"left out: {one.name}: {one.why}"), file=sys.stderr)

    print(f"index   {write_index(options.folder, tell)}")
    return 0
