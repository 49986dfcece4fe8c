"""The argument `--vary`: a strategy's setting and its values, of which variants are made."""

import argparse

from bench.model import Varied
from bench.verbs.vary_rules import EXAMPLE, fault_of, require_varied


def add_vary(parser: argparse.ArgumentParser) -> None:
    """Settings whose values are compared."""
    parser.add_argument(
        "--vary",
        type=varied,
        action="append",
        default=[],
        metavar="NAME:SETTING=A,B",
        help="measure a strategy with each value of an environment variable of its service, instead of "
        f"as compose.yaml has it ({EXAMPLE}); several settings of a strategy cross. Without --strategies "
        "these variants alone are measured; without --baseline the first is compared with the others",
    )


def varied(text: str) -> Varied:
    """A strategy, a setting and its values: `onnx:THREADS=1,2`."""
    target, sign, listed = text.partition("=")
    strategy, colon, setting = target.partition(":")
    if not sign or not colon:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a strategy's setting with its values: write {EXAMPLE}"
        )
    found = Varied(strategy, setting, tuple(value.strip() for value in listed.split(",")))
    fault = fault_of(found)
    if fault:
        raise argparse.ArgumentTypeError(fault)
    return found


def read_varied(args: argparse.Namespace) -> tuple[Varied, ...]:
    """What is varied; raises UsageError for a setting given twice, and for too many variants."""
    found: list[Varied] = getattr(args, "vary", [])
    require_varied(found, {url.name for url in getattr(args, "url", [])})
    return tuple(found)
