"""The session of a stored run: its options, or those of the command line that an older run keeps."""

import shlex

from bench.model import Run, SessionOptions
from bench.verbs import aa, slo
from bench.verbs.arguments import read_run_session
from bench.verbs.parser import build_parser


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
    return read_run_session(args) if args.verb == "run" else readers[args.verb](args, words).session
