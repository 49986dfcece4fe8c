"""`bench doctor`: what will spoil a measurement on this machine."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import InvalidRunError
from bench.verbs.arguments import add_cores_and_root, add_json
from bench.verbs.attached_arguments import refuse_attached


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """Which cores are looked at, where compose.yaml is, and how thorough the look is."""

    root: Path
    service_cores: str | None
    driver_cores: str | None
    quick: bool
    as_json: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `doctor`."""
    add_cores_and_root(parser)
    parser.add_argument("--quick", action="store_true", help="a few seconds: shorter looks at noise and disk")
    add_json(parser)
    refuse_attached(
        parser,
        "doctor looks at this machine and at no service: try the service with `bench run --quick --url`",
    )


def read(args: argparse.Namespace, _: Sequence[str]) -> DoctorOptions:
    """The options of `doctor`."""
    return DoctorOptions(args.root, args.service_cores, args.driver_cores, args.quick, args.json)


def do(options: DoctorOptions) -> int:
    """Print the findings; raises InvalidRunError if one of them spoils measurements."""
    from bench.cores import choose_cores
    from bench.doctor import examine, render, spoils

    cores = choose_cores(options.driver_cores, options.service_cores)
    findings = examine(options.root, cores, quick=options.quick)
    if options.as_json:
        listed = [dataclasses.asdict(finding) for finding in findings]
        print(
            json.dumps({"schema": 1, "fit": not spoils(findings), "findings": listed}, indent=1), flush=True
        )
    else:
        print(render(findings), end="", flush=True)
    if spoils(findings):
        raise InvalidRunError("this machine is not fit to measure: the table says what to do first")
    return 0
