"""The command line: parse, validate, call, and turn every error into one line and an exit code."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence

from bench.errors import BenchError
from bench.interrupts import end_as_by_ctrl_c
from bench.options import build_parser

INTERRUPTED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code.

    0 fine, 1 the harness failed, 2 usage, 3 a regression, 4 nothing to believe, 5 inconclusive.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    args = build_parser().parse_args(given)
    for stream in (sys.stdout, sys.stderr):
        # a terminal without a dash is no reason to lose what was measured
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    end_as_by_ctrl_c()
    try:
        code = _call(args, given)
        sys.stdout.flush()
        return code
    except BenchError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(
            "interrupted: what was measured until now is kept, everything else is as before", INTERRUPTED
        )
    except BrokenPipeError:
        return _no_reader()
    except Exception as error:
        message = _known_fault(error)
        if message is None:
            raise
        return _fail(message, 1)


def _call(args: argparse.Namespace, given: Sequence[str]) -> int:
    """Import and call the verb, so that --help imports none of it."""
    from bench.verbs import run, tools

    verbs: dict[str, Callable[[], int]] = {
        "run": lambda: run.run(args, given),
        "plan": lambda: run.plan(args),
        "slo": lambda: run.slo(args, given),
        "aa": lambda: run.aa(args, given),
        "gate": lambda: _gate(args, given),
        "compare": lambda: tools.compare(args),
        "report": lambda: tools.report(args),
        "index": lambda: tools.index(args.folder),
        "ceiling": lambda: tools.ceiling(args),
        "doctor": lambda: tools.doctor(args),
        "worker": lambda: tools.worker(args),
    }
    return verbs[args.verb]()


def _gate(args: argparse.Namespace, given: Sequence[str]) -> int:
    from bench.verbs.gate import gate

    return gate(args, given)


def _known_fault(error: Exception) -> str | None:
    """One line for a fault of disk, network or engine; None for a fault of the program."""
    docker = sys.modules.get("docker")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full: free some space and run again; finished trials are kept"
    if isinstance(error, OSError) or (docker and isinstance(error, docker.errors.DockerException)):
        first = (str(error).splitlines() or [""])[0]
        return f"{type(error).__name__}: {first or 'no more is known'}; finished trials are kept"
    return None


def _no_reader() -> int:
    """End quietly where stdout is a pipe that nobody reads any more, as with `| head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"bench: {message}\n")
    return code
