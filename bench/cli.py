"""The command line: parse, call the verb, and turn every error into one line and an exit code."""

import contextlib
import errno
import sys
from collections.abc import Sequence

from bench.errors import BenchError
from bench.report.plain import shortened
from bench.verbs import VERBS
from bench.verbs.interrupts import end_as_by_ctrl_c
from bench.verbs.parser import build_parser, find_verb
from bench.verbs.streams import open_streams, settle_streams

INTERRUPTED = 1
USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code.

    0 fine, 1 the harness failed, 2 usage, 3 a regression, 4 nothing to believe, 5 inconclusive.
    """
    if not open_streams():
        return _fail("stdout is closed, so no result could be printed: leave it open", USAGE)
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except BenchError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(
            "interrupted: what was measured until now is kept, everything else is as before", INTERRUPTED
        )
    except BrokenPipeError:
        return 1  # nobody reads any more, as with `| head`: there is nobody to tell
    except Exception as error:
        message = _known_fault(error)
        if message is None:
            raise
        return _fail(message, 1)
    finally:
        settle_streams()


def _run(given: Sequence[str]) -> int:
    """Parse and call the verb; what it printed is written out before its exit code counts."""
    try:
        # the verb is the first word that names one: the other files need not be imported
        args = build_parser([word for word in given if word in VERBS][:1]).parse_args(given)
    except SystemExit:
        sys.stdout.flush()  # the help, which may have no reader
        raise
    end_as_by_ctrl_c()
    verb = find_verb(args.verb)
    code = verb.do(verb.read(args, given))
    sys.stdout.flush()
    return code


def _known_fault(error: Exception) -> str | None:
    """One line for a fault of disk, network or engine; None for a fault of the program."""
    docker = sys.modules.get("docker")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full: free some space and run again; finished trials are kept"
    if isinstance(error, OSError) or (docker and isinstance(error, docker.errors.DockerException)):
        first = (str(error).splitlines() or [""])[0]
        return f"{type(error).__name__}: {first or 'no more is known'}; finished trials are kept"
    return None


def _fail(message: str, code: int) -> int:
    with contextlib.suppress(OSError):  # a stderr that nobody reads
        sys.stderr.write(f"bench: {shortened(message)}\n")
    return code
