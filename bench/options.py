"""The command line's grammar: every verb's options, and how their values are read."""

import argparse
import re
from functools import partial
from pathlib import Path

MOST_RATE = 100_000
MOST_WORKERS = 64
WORKER_PORT = 5557
QUANTILES = {"--p50": 0.50, "--p90": 0.90, "--p95": 0.95, "--p99": 0.99, "--p99.9": 0.999}


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = argparse.ArgumentParser(
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
    plan = verb("plan", "say what `run` would do with the same options, and how long it takes")
    for options in (_add_session_options, _add_load_options, _add_rounds, _add_extras):
        options(plan)
    slo = verb("slo", "find the highest rate at which each strategy holds an objective")
    _add_session_options(slo)
    _add_objectives(slo)
    aa = verb("aa", "compare each strategy with itself: what this machine can and cannot tell apart")
    for options in (_add_session_options, _add_load_options, _add_rounds):
        options(aa)
    report = verb("report", "write the report and plots of a run's folder again")
    report.add_argument("folder", type=Path, metavar="FOLDER", help="a folder that `run` wrote")
    _add_ceiling(verb("ceiling", "what the driver itself can do, against a target that answers at once"))
    doctor = verb("doctor", "say what will spoil a measurement on this machine, and the remedy")
    _add_place_options(doctor)
    doctor.add_argument("--quick", action="store_true", help="a few seconds: shorter looks at noise and disk")
    worker = verb("worker", "drive load from this host for a run on another one, until Ctrl-C")
    worker.add_argument("--master", required=True, metavar="HOST", help="where `run --remote-workers` runs")
    worker.add_argument("--port", type=_port, default=WORKER_PORT, metavar="P", help="its port (5557)")
    return parser


def _add_session_options(parser: argparse.ArgumentParser) -> None:
    _add_payload_options(parser)
    add = parser.add_argument
    add("--quick", action="store_true", help="one short round: shows that it works, proves nothing")
    add(
        "--runtime",
        choices=("auto", "compose", "process"),
        default="auto",
        help="containers, local processes, or containers where an engine answers (default)",
    )
    add("--strategies", type=_names, metavar="A,B", help="only these (default: all of compose.yaml)")
    add(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where services compute, and so which are run (auto: all, each as it is configured)",
    )
    add("--warmup-s", type=_seconds, metavar="S", help="least load before the window (4; quick 1.5)")
    add(
        "--warmup-most-s",
        type=_seconds,
        metavar="S",
        help="most load before the window, until it is steady (four times the least)",
    )
    add("--timeout-s", type=_seconds, default=30.0, metavar="S", help="how long an answer may take (30)")
    add("--max-errors", type=_share, default=0.0, metavar="X%", help="failed requests a trial may have (0%%)")
    add("--workers", type=_workers, default=1, metavar="N", help="driver processes on this host (1)")
    add(
        "--remote-workers",
        type=_remote_workers,
        default=0,
        metavar="N",
        help="driver processes on other hosts, each `bench worker --master HOST`; needs --listen",
    )
    add("--listen", type=_address, metavar="HOST[:P]", help="this host's address for workers and their load")
    add("--price", type=_price, metavar="X", help="price of a core-hour, for the cost of a million requests")
    add("--results", type=Path, metavar="DIR", help="where the run's folder goes (results/)")
    add(
        "--build",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="build the images first (default)",
    )


def _add_rounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="rounds; every round runs each strategy once (6)"
    )


def _add_extras(parser: argparse.ArgumentParser) -> None:
    """What is measured beside the trials."""
    add = parser.add_argument
    add("--startups", type=_count, metavar="K", help="least fresh starts a strategy (10; quick 3)")
    add(
        "--warm-startups",
        type=_count,
        metavar="K",
        help="fresh starts with a model cache that was filled before (as --startups; quick 1)",
    )
    add("--loop-seconds", type=_count_s, metavar="S", help="in-process loop a round, 0 for none (3)")


def _add_load_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--concurrency", type=_positives, metavar="N,...", help="closed loads: numbers of clients (50)")
    add(
        "--rate",
        type=_rates,
        metavar="R,...",
        help="open loads: requests/s that come due by a schedule; without --concurrency, no closed load",
    )
    add(
        "--load",
        type=_shares,
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
            type=partial(_bound, quantile),
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
        "--concurrency", type=_positives, metavar="N", help="clients; of several the most (50)"
    )
    parser.add_argument(
        "--bytes", type=_positive, metavar="N", help="drive one made-up body of N bytes instead of images"
    )


def _add_payload_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--payloads", type=_names, default=("seed", "small"), metavar="A,B", help="classes of images")
    add(
        "--encoding",
        type=_names,
        default=("json",),
        metavar="A,B",
        help="how an image is sent: json, raw, multipart, msgpack, oip-json, oip-binary, oip-raw (json)",
    )
    add("--window-s", type=_seconds, metavar="S", help="length of the measured window (10; quick 4)")
    add("--seed", type=int, default=1, metavar="N", help="seed of every order that is shuffled (1)")
    add("--images", type=Path, metavar="DIR", help="the image set (images/ of the root)")
    _add_place_options(parser)


def _add_place_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--service-cores", metavar="LIST", help="cores of the service under test (the last one)")
    add("--driver-cores", metavar="LIST", help="cores of driver and harness (the first one)")
    add("--root", type=Path, default=Path(), metavar="DIR", help="where compose.yaml is (.)")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise argparse.ArgumentTypeError("name at least one, separated by commas")
    return names


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


def _positives(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_positive(part) for part in _names(text)))


def _workers(text: str) -> int:
    workers = _remote_workers(text)
    if workers < 1:
        raise argparse.ArgumentTypeError("at least one driver process is needed on this host")
    return workers


def _remote_workers(text: str) -> int:
    if not text.isdigit() or int(text) > MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text} is no number of workers from 0 to {MOST_WORKERS}")
    return int(text)


def _rates(text: str) -> tuple[float, ...]:
    rates = []
    for part in _names(text):
        rate = _number(part)
        if not 0 < rate <= MOST_RATE:
            raise argparse.ArgumentTypeError(f"{part} is no rate above 0 and up to {MOST_RATE} a second")
        rates.append(rate)
    return tuple(dict.fromkeys(rates))


def _shares(text: str) -> tuple[float, ...]:
    shares = [_share(part) for part in _names(text)]
    if not all(0 < share <= 2 for share in shares):
        raise argparse.ArgumentTypeError(f"{text} are no shares of capacity above 0% and up to 200%")
    return tuple(dict.fromkeys(shares))


def _share(text: str) -> float:
    share = _number(text[:-1]) / 100 if text.endswith("%") else -1.0
    if not 0 <= share <= 2:
        raise argparse.ArgumentTypeError(f"{text} is no percentage, such as 50%")
    return share


def _bound(quantile: float, text: str) -> tuple[float, float]:
    """A quantile and the milliseconds that it is to be within."""
    return quantile, _milliseconds(text)


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s)", text.strip())
    value = float(found.group(1)) * (1e3 if found.group(2) == "s" else 1.0) if found else 0.0
    if not 0 < value <= 60_000:
        raise argparse.ArgumentTypeError(f"{text} is no time above 0 and up to 60 s, such as 100ms")
    return value


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if ":" in host:
        raise argparse.ArgumentTypeError(f"{text} is no IPv4 address or name, with or without :PORT")
    return (host, _port(port)) if colon else (text, WORKER_PORT)


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return int(text)


def _price(text: str) -> float:
    price = _number(text)
    if not 0 < price < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no price above 0")
    return price


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is no whole number")
    return int(text)


def _count_s(text: str) -> float:
    seconds = _number(text)
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


def _seconds(text: str) -> float:
    seconds = _count_s(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return seconds


def _number(text: str) -> float:
    """The number that the text is, below every bound where it is none."""
    try:
        return float(text)
    except ValueError:
        return -1.0
