"""`bench run`: measure, write the report and print the summary, or go on with a run that was cut short."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import UsageError
from bench.verbs.argument_types import path
from bench.verbs.arguments import (
    MeasureOptions,
    add_extras,
    add_loads,
    add_rounds,
    add_session,
    add_voice,
    read_measure,
    read_run_session,
)
from bench.verbs.attached_arguments import OPTIONS as ATTACHED
from bench.verbs.vary_arguments import add_vary

# what may be said anew if a run goes on: where things lie, and how it is built and told of
RESUME_OPTIONS = (
    *("--resume", "--root", "--requests", "--images", "--listen", "--build", "--no-build", *ATTACHED),
    *("--quiet", "--verbose", "--json"),
)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to measure; with `resume`, the folder of a run that goes on with the session that it had."""

    measure: MeasureOptions
    resume: Path | None


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `run`."""
    for add in (add_session, add_vary, add_loads, add_rounds, add_extras):
        add(parser)
    parser.add_argument(
        "--resume", type=path, metavar="FOLDER", help="go on with the run that was cut short in this folder"
    )
    add_voice(parser)


def read(args: argparse.Namespace, given: Sequence[str]) -> RunOptions:
    """The options of `run`; raises UsageError if a run that goes on is given others than it had."""
    if args.resume is not None:
        others = [
            word for word in given if word.startswith("--") and word.partition("=")[0] not in RESUME_OPTIONS
        ]
        if others:
            raise UsageError(f"a run goes on with the options that it had: leave out {', '.join(others)}")
    return RunOptions(read_measure(args, given, read_run_session(args)), args.resume)


def do(options: RunOptions) -> int:
    """Measure; raises InvalidRunError if no trial may be believed."""
    from bench.verbs.measuring import measure

    return measure(options.measure) if options.resume is None else _resume(options.measure, options.resume)


def _resume(options: MeasureOptions, folder: Path) -> int:
    """Go on with the session of the run in the folder; raises UsageError if it does not say which it was."""
    from bench.run_file import read_run
    from bench.verbs.measuring import measure
    from bench.verbs.stored import session_of

    earlier = read_run(folder)
    session = session_of(earlier)
    if session is None or session.verb == "gate" or session.quick != earlier.quick:
        raise UsageError(f"{folder.name}/ does not say how it was made: measure again")
    return measure(replace(options, session=session, command=earlier.command), folder, earlier)
