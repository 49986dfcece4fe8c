"""The command line: parse, call the verb, and turn every error into one line and an exit code."""

import errno
import io
import os
import sys
from collections.abc import Sequence

from bench.errors import BenchError
from bench.verbs import VERBS
from bench.verbs.interrupts import end_as_by_ctrl_c
from bench.verbs.parser import build_parser, find_verb

INTERRUPTED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code.

    0 fine, 1 the harness failed, 2 usage, 3 a regression, 4 nothing to believe, 5 inconclusive.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    # the verb is the first word that names one: the other files need not be imported
    args = build_parser([word for word in given if word in VERBS][:1]).parse_args(given)
    for stream in (sys.stdout, sys.stderr):
        # a terminal without a dash is no reason to lose what was measured
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    end_as_by_ctrl_c()
    try:
        verb = find_verb(args.verb)
        code = verb.do(verb.read(args, given))
        sys.stdout.flush()
        return code
    except BenchError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(
            "interrupted: what was measured until now is kept, everything else is as before", INTERRUPTED
        )
    except BrokenPipeError:
        return _end_without_reader()
    except Exception as error:
        message = _known_fault(error)
        if message is None:
            raise
        return _fail(message, 1)


def _known_fault(error: Exception) -> str | None:
    """One line for a fault of disk, network or engine; None for a fault of the program."""
    docker = sys.modules.get("docker")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full: free some space and run again; finished trials are kept"
    if isinstance(error, OSError) or (docker and isinstance(error, docker.errors.DockerException)):
        first = (str(error).splitlines() or [""])[0]
        return f"{type(error).__name__}: {first or 'no more is known'}; finished trials are kept"
    return None


def _end_without_reader() -> int:
    """End quietly if stdout is a pipe that nobody reads any more, as with `| head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"bench: {message}\n")
    return code
