"""The command line: parse, validate, call, and turn every error into one line and an exit code."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.interrupts import end_as_by_ctrl_c

INTERRUPTED = 1
MOST_RATE = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0 fine, 1 the harness failed, 2 usage, 4 nothing to believe."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = build_parser().parse_args(given)
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
    if args.verb == "report":
        from bench.verbs import report

        return report(args.folder)
    from bench import verbs

    if args.verb == "plan":
        return verbs.plan(args)
    if args.verb == "ceiling":
        return verbs.ceiling(args)
    return verbs.run(args, given)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compare model-serving strategies under identical conditions.",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    run = verbs.add_parser(
        "run", allow_abbrev=False, help="measure the strategies of compose.yaml and write a report"
    )
    _add_session_options(run)
    plan = verbs.add_parser(
        "plan",
        allow_abbrev=False,
        help="say what `run` would do with the same options, and how long it takes",
    )
    _add_session_options(plan)
    report = verbs.add_parser(
        "report", allow_abbrev=False, help="write the report and plots of a run's folder again"
    )
    report.add_argument("folder", type=Path, metavar="FOLDER", help="a folder that `run` wrote")
    ceiling = verbs.add_parser(
        "ceiling",
        allow_abbrev=False,
        help="what the driver itself can do, against a target that answers at once",
    )
    _add_payload_options(ceiling)
    ceiling.add_argument(
        "--bytes", type=_positive, metavar="N", help="drive one made-up body of N bytes instead of images"
    )
    return parser


def _add_session_options(parser: argparse.ArgumentParser) -> None:
    _add_payload_options(parser)
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="rounds; every round runs each strategy once (6)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round: shows that it works, proves nothing"
    )
    parser.add_argument(
        "--runtime",
        choices=("auto", "compose", "process"),
        default="auto",
        help="containers, local processes, or containers where an engine answers (default)",
    )
    parser.add_argument(
        "--strategies", type=_names, metavar="A,B", help="only these (default: all of compose.yaml)"
    )
    parser.add_argument(
        "--rate",
        type=_rates,
        metavar="R,...",
        help="open loads: requests/s that come due at random instants; without --concurrency, these alone",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where services compute, and so which are run (auto: all, each as it is configured)",
    )
    parser.add_argument(
        "--warmup-s", type=_seconds, metavar="S", help="load before the window (4; quick 1.5)"
    )
    parser.add_argument(
        "--startups", type=_count, metavar="K", help="least fresh starts a strategy (10; quick 3)"
    )
    parser.add_argument(
        "--loop-seconds", type=_count_s, metavar="S", help="in-process loop a round, 0 for none (3)"
    )
    parser.add_argument("--results", type=Path, metavar="DIR", help="where the run's folder goes (results/)")
    parser.add_argument(
        "--build",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="build the images first (default)",
    )


def _add_payload_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--concurrency", type=_positives, metavar="N,...", help="closed loads: numbers of clients (50)"
    )
    parser.add_argument(
        "--payloads", type=_names, default=("seed", "small"), metavar="A,B", help="classes of images"
    )
    parser.add_argument(
        "--encoding", choices=("json", "raw"), default="json", help="how an image is sent (json)"
    )
    parser.add_argument(
        "--window-s", type=_seconds, metavar="S", help="length of the measured window (10; quick 4)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="seed of every order that is shuffled (1)"
    )
    parser.add_argument(
        "--service-cores", metavar="LIST", help="cores of the service under test (the last one)"
    )
    parser.add_argument("--driver-cores", metavar="LIST", help="cores of driver and harness (the first one)")
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="where compose.yaml is (.)")
    parser.add_argument("--images", type=Path, metavar="DIR", help="the image set (images/ of the root)")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise argparse.ArgumentTypeError("name at least one, separated by commas")
    return names


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


def _positives(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_positive(part) for part in _names(text)))


def _rates(text: str) -> tuple[float, ...]:
    rates = []
    for part in _names(text):
        try:
            rate = float(part)
        except ValueError:
            rate = 0.0
        if not 0 < rate <= MOST_RATE:
            raise argparse.ArgumentTypeError(f"{part} is no rate above 0 and up to {MOST_RATE} a second")
        rates.append(rate)
    return tuple(dict.fromkeys(rates))


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is no whole number")
    return int(text)


def _count_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


def _seconds(text: str) -> float:
    seconds = _count_s(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return seconds


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
