"""`bench compare`: two runs that were made apart, beside each other."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import InvalidRunError
from bench.report.compare_runs import RENDERERS
from bench.verbs.argument_types import path
from bench.verbs.arguments import add_json, read_format


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """The folders of both runs, and the format that is printed."""

    base: Path
    head: Path
    format: str


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `compare`."""
    add = parser.add_argument
    add("base", type=path, metavar="BASE", help="the folder of a run")
    add("head", type=path, metavar="HEAD", help="the folder of another")
    add("--format", choices=RENDERERS, help="what is printed (text)")
    add_json(parser)


def read(args: argparse.Namespace, _: Sequence[str]) -> CompareOptions:
    """The options of `compare`."""
    return CompareOptions(args.base, args.head, read_format(args))


def do(options: CompareOptions) -> int:
    """Print the comparison; raises InvalidRunError if nothing can be compared."""
    from bench.analysis.run_comparison import compare_runs
    from bench.run_file import read_run
    from bench.verbs.stored import computed_with

    base, head = options.base, options.head
    runs = read_run(base), read_run(head)
    with computed_with(base), computed_with(head):
        found = compare_runs(*runs, base.name, head.name)
        shown = RENDERERS[options.format](found)
    print(shown, end="", flush=True)
    if not found.judges:
        raise InvalidRunError("nothing of the two runs can be compared: the lines above say why")
    if found.void_rows:
        raise InvalidRunError("some of what both runs have is not compared: the lines above say why")
    return 0
