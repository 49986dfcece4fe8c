"""The session of a stored run: its options, or those of the command line that an older run keeps."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.errors import UsageError
from bench.model import Run, SessionOptions
from bench.report.plain import one_line
from bench.request_sets.older_set import USUAL_KINDS
from bench.run_file.run_values import UNLIKE_A_RUN
from bench.verbs import aa, slo
from bench.verbs.arguments import read_run_session
from bench.verbs.parser import build_parser


@contextmanager
def computed_with(folder: Path) -> Iterator[None]:
    """Turn what the values of a stored run make of a computation into UsageError that names the run's folder.

    Types and ranges are checked when a run is read; values that fit and contradict each other show here.
    """
    try:
        yield
    except UNLIKE_A_RUN as error:
        why = one_line(f"{type(error).__name__}: {error}")
        raise UsageError(
            f"{folder.name}/ holds values that a run does not have ({why}): restore it, or measure again"
        ) from error


def session_of(stored: Run) -> SessionOptions | None:
    """What the run measured, and how; None if it does not say so."""
    return stored.options if stored.options is not None else _of_command(stored.command)


def _of_command(command: str) -> SessionOptions | None:
    """What the command line of a run asked for: runs of schema 1 and 2 keep nothing else."""
    words = shlex.split(command)[3:]
    readers = {"slo": slo.read, "aa": aa.read}
    if words[:1] != ["run"] and words[:1] not in [[name] for name in readers]:
        return None
    args = build_parser(words[:1]).parse_args(words)
    session = read_run_session(args) if args.verb == "run" else readers[args.verb](args, words).session
    # every window of such a run is as long as its load says
    session = replace(session, load=replace(session.load, window_most_s=None))
    if args.verb == "aa" and args.quick and args.rounds is None:
        session = replace(session, rounds=1)  # as such runs were made
    return session if session.payloads else replace(session, payloads=USUAL_KINDS)
