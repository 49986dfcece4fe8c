"""The command line's grammar: every verb's options, and how their values are read."""

import argparse
from functools import partial
from pathlib import Path
from typing import NoReturn

from bench.option_values import (
    WORKER_PORT,
    address,
    bound,
    count,
    count_s,
    names,
    port,
    positive,
    positives,
    price,
    rates,
    remote_workers,
    seconds,
    share,
    shares,
    workers,
)

GATE_FORMATS = ("text", "markdown", "json", "junit")
COMPARE_FORMATS = ("text", "markdown", "json")
RUN_FORMATS = ("markdown", "github", "junit", "csv", "csv-summary", "smaller", "bigger")
QUANTILES = {"--p50": 0.50, "--p90": 0.90, "--p95": 0.95, "--p99": 0.99, "--p99.9": 0.999}


class OneLine(argparse.ArgumentParser):
    """A parser whose mistakes are one line: which, and where the help is."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"bench: {message}: see `{self.prog} --help`\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = OneLine(
        prog="python -m bench",
        description="Compare model-serving strategies under identical conditions.",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, words: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, allow_abbrev=False, help=words)

    run = verb("run", "measure the strategies of compose.yaml and write a report")
    for options in (_add_session_options, _add_load_options, _add_rounds, _add_extras):
        options(run)
    run.add_argument(
        "--resume", type=Path, metavar="FOLDER", help="go on with the run that was cut short in this folder"
    )
    _add_voice(run)
    plan = verb("plan", "say what `run` would do with the same options, and how long it takes")
    for options in (_add_session_options, _add_load_options, _add_rounds, _add_extras):
        options(plan)
    _add_json(plan)
    slo = verb("slo", "find the highest rate at which each strategy holds an objective")
    _add_session_options(slo)
    _add_objectives(slo)
    _add_voice(slo)
    aa = verb("aa", "compare each strategy with itself: what this machine can and cannot tell apart")
    for options in (_add_session_options, _add_load_options, _add_rounds):
        options(aa)
    _add_voice(aa)
    _add_gate(verb("gate", "judge this commit by gate.toml against another one, or a stored run"))
    _add_compare(verb("compare", "compare two runs that were made apart"))
    _add_report(verb("report", "write the report, page and plots of a run's folder again"))
    index = verb("index", "write a page over all runs of a folder, with each strategy's trend")
    index.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path("results"),
        metavar="FOLDER",
        help="where runs are (results/)",
    )
    _add_ceiling(verb("ceiling", "what the driver itself can do, against a target that answers at once"))
    doctor = verb("doctor", "say what will spoil a measurement on this machine, and the remedy")
    _add_place_options(doctor)
    doctor.add_argument("--quick", action="store_true", help="a few seconds: shorter looks at noise and disk")
    _add_json(doctor)
    worker = verb("worker", "drive load from this host for a run on another one, until Ctrl-C")
    worker.add_argument("--master", required=True, metavar="HOST", help="where `run --remote-workers` runs")
    worker.add_argument("--port", type=port, default=WORKER_PORT, metavar="P", help="its port (5557)")
    return parser


def _add_session_options(parser: argparse.ArgumentParser) -> None:
    _add_payload_options(parser)
    add = parser.add_argument
    add("--quick", action="store_true", help="one short round: shows that it works, proves nothing")
    _add_runtime(parser)
    add("--strategies", type=names, metavar="A,B", help="only these (default: all of compose.yaml)")
    add("--warmup-s", type=seconds, metavar="S", help="least load before the window (4; quick 1.5)")
    add(
        "--warmup-most-s",
        type=seconds,
        metavar="S",
        help="most load before the window, until it is steady (four times the least)",
    )
    add("--timeout-s", type=seconds, default=30.0, metavar="S", help="how long an answer may take (30)")
    add("--max-errors", type=share, default=0.0, metavar="X%", help="failed requests a trial may have (0%%)")
    add("--workers", type=workers, default=1, metavar="N", help="driver processes on this host (1)")
    add(
        "--remote-workers",
        type=remote_workers,
        default=0,
        metavar="N",
        help="driver processes on other hosts, each `bench worker --master HOST`; needs --listen",
    )
    add("--listen", type=address, metavar="HOST[:P]", help="this host's address for workers and their load")
    add("--price", type=price, metavar="X", help="price of a core-hour, for the cost of a million requests")
    _add_results(parser)


def _add_runtime(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--runtime",
        choices=("auto", "compose", "process"),
        default="auto",
        help="containers, local processes, or containers where an engine answers (default)",
    )
    add(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where services compute, and so which are run (auto: all, each as it is configured)",
    )


def _add_results(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--results", type=Path, metavar="DIR", help="where the run's folder goes (results/)")
    add(
        "--build",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="build the images first (default)",
    )


def _add_gate(parser: argparse.ArgumentParser) -> None:
    """What is compared with what; how is gate.toml's to say, where no option says it."""
    add = parser.add_argument
    other = parser.add_mutually_exclusive_group(required=True)
    other.add_argument("--against", metavar="REF", help="a commit: both are built and measured side by side")
    other.add_argument(
        "--baseline", type=Path, metavar="DIR", help="a stored run: this machine must be its own"
    )
    other.add_argument(
        "--again",
        type=Path,
        metavar="FOLDER",
        help="judge an earlier gate's folder, measure and write nothing",
    )
    add("--head", type=Path, metavar="DIR", help="with --baseline: judge this run, measure and write nothing")
    add("--deterministic", action="store_true", help="only [[limit]] rules, which hang on no machine's speed")
    add("--rules", type=Path, metavar="FILE", help="the rules (gate.toml of the root)")
    add("--strategies", type=names, metavar="A,B", help="only these (default: all that rules name)")
    add(
        "--rounds", type=positive, metavar="N", help="pairs of fresh containers a strategy (as the rules say)"
    )
    add("--window-s", type=seconds, metavar="S", help="length of the measured window (as the rules say)")
    add("--warmup-s", type=seconds, metavar="S", help="load before the window (as the rules say)")
    add("--concurrency", type=positive, metavar="N", help="clients of each side (as the rules say)")
    add("--seed", type=int, default=1, metavar="N", help="seed of every order that is shuffled (1)")
    add("--format", choices=GATE_FORMATS, default="text", help="what is printed (text)")
    add("--images", type=Path, metavar="DIR", help="the image set (images/ of the root)")
    _add_runtime(parser)
    _add_results(parser)
    _add_place_options(parser)
    _add_voice(parser)
    parser.set_defaults(remote_workers=0, listen=None)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("base", type=Path, metavar="BASE", help="the folder of a run")
    add("head", type=Path, metavar="HEAD", help="the folder of another")
    add("--format", choices=COMPARE_FORMATS, default="text", help="what is printed (text)")
    _add_json(parser)


def _add_report(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="a folder that `run` wrote")
    add("--format", choices=RUN_FORMATS, help="write nothing, print this")
    _add_json(parser)


def _add_voice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quiet", action="store_true", help="no progress: only the result, and what voids it"
    )
    _add_json(parser)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")


def _add_rounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rounds", type=positive, metavar="N", help="rounds; every round runs each strategy once (6)"
    )


def _add_extras(parser: argparse.ArgumentParser) -> None:
    """What is measured beside the trials."""
    add = parser.add_argument
    add("--startups", type=count, metavar="K", help="least fresh starts a strategy (10; quick 3)")
    add(
        "--warm-startups",
        type=count,
        metavar="K",
        help="fresh starts with a model cache that was filled before (as --startups; quick 1)",
    )
    add("--loop-seconds", type=count_s, metavar="S", help="in-process loop a round, 0 for none (3)")


def _add_load_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--concurrency", type=positives, metavar="N,...", help="closed loads: numbers of clients (50)")
    add(
        "--rate",
        type=rates,
        metavar="R,...",
        help="open loads: requests/s that come due by a schedule; without --concurrency, no closed load",
    )
    add(
        "--load",
        type=shares,
        metavar="X%,...",
        help="open loads: shares of the capacity that each strategy shows before the rounds",
    )
    _add_arrivals(parser)


def _add_objectives(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group(required=True)
    for flag, quantile in QUANTILES.items():
        group.add_argument(
            flag,
            dest="objective",
            type=partial(bound, quantile),
            metavar="TIME",
            help=f"{100 * quantile:g}%% of the requests answered within this time, such as 100ms",
        )
    parser.set_defaults(concurrency=None, rate=None, load=None)
    _add_arrivals(parser)


def _add_arrivals(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--arrivals",
        choices=("poisson", "constant"),
        default="poisson",
        help="instants of an open load: at random (default) or evenly spaced",
    )


def _add_ceiling(parser: argparse.ArgumentParser) -> None:
    _add_payload_options(parser)
    parser.add_argument(
        "--concurrency", type=positives, metavar="N", help="clients; of several the most (50)"
    )
    parser.add_argument(
        "--bytes", type=positive, metavar="N", help="drive one made-up body of N bytes instead of images"
    )


def _add_payload_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--payloads", type=names, default=("seed", "small"), metavar="A,B", help="classes of images")
    add(
        "--encoding",
        type=names,
        default=("json",),
        metavar="A,B",
        help="how an image is sent: json, raw, multipart, msgpack, oip-json, oip-binary, oip-raw (json)",
    )
    add("--window-s", type=seconds, metavar="S", help="length of the measured window (10; quick 4)")
    add("--seed", type=int, default=1, metavar="N", help="seed of every order that is shuffled (1)")
    add("--images", type=Path, metavar="DIR", help="the image set (images/ of the root)")
    _add_place_options(parser)


def _add_place_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--service-cores", metavar="LIST", help="cores of the service under test (the last one)")
    add("--driver-cores", metavar="LIST", help="cores of driver and harness (the first one)")
    add("--root", type=Path, default=Path(), metavar="DIR", help="where compose.yaml is (.)")
