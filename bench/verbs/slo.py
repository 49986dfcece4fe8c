"""`bench slo`: find the highest rate at which each strategy holds an objective."""

import argparse
from collections.abc import Sequence
from functools import partial

from bench.model.options import ObjectiveOptions
from bench.verbs.argument_types import bound
from bench.verbs.arguments import (
    MeasureOptions,
    add_arrivals,
    add_session,
    add_voice,
    read_measure,
    read_session,
    read_windows,
)
from bench.verbs.vary_arguments import add_vary

USUAL_WINDOW = "10; quick 4; up to 120 where a rate needs that for the quantile"
QUANTILES = {"--p50": 0.50, "--p90": 0.90, "--p95": 0.95, "--p99": 0.99, "--p99.9": 0.999}


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `slo`."""
    add_session(parser, "short windows: shows that it works, proves nothing", USUAL_WINDOW)
    add_vary(parser)
    group = parser.add_mutually_exclusive_group(required=True)
    for flag, quantile in QUANTILES.items():
        group.add_argument(
            flag,
            dest="objective",
            type=partial(bound, quantile),
            metavar="TIME",
            help=f"{100 * quantile:g}%% of the requests answered within this time, such as 100ms",
        )
    add_arrivals(parser)
    add_voice(parser)


def read(args: argparse.Namespace, given: Sequence[str]) -> MeasureOptions:
    """The options of `slo`, which measures nothing beside its search."""
    objective = ObjectiveOptions(*args.objective)
    session = read_session(args, "slo", read_windows(args), rounds=0, objective=objective)
    return read_measure(args, given, session)


def do(options: MeasureOptions) -> int:
    """Search, for each strategy and class of payloads; raises InvalidRunError if no trial is valid."""
    from bench.verbs.measuring import measure

    return measure(options)
