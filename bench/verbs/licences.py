"""`bench licences`: what each image carries, and under which licences."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.verbs.argument_types import name
from bench.verbs.arguments import add_json, add_root, read_format

if TYPE_CHECKING:
    from bench.model.carried import CarriedPackage

FORMATS = ("text", "markdown", "csv", "json")
HERE = "this environment"
# a table of packages is for reading and searching: it is never cut
WIDTH = 100_000


@dataclass(frozen=True, slots=True)
class LicencesOptions:
    """Whose packages are listed: those of these strategies' images, or of the environment here."""

    strategies: tuple[str, ...]
    runtime: str
    root: Path
    format: str


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `licences`."""
    parser.add_argument(
        "strategies", type=name, nargs="*", metavar="STRATEGY", help="of these images (all without profiles)"
    )
    parser.add_argument(
        "--runtime",
        choices=("compose", "process"),
        default="compose",
        help="the packages of images, or those here, with which local processes run (compose)",
    )
    parser.add_argument("--format", choices=FORMATS, help="what is printed (text)")
    add_json(parser)
    add_root(parser)


def read(args: argparse.Namespace, _: Sequence[str]) -> LicencesOptions:
    """The options of `licences`."""
    return LicencesOptions(tuple(args.strategies), args.runtime, args.root, read_format(args))


def do(options: LicencesOptions) -> int:
    """Print the packages of each image, with their licences as they state them."""
    from bench.measure.runtime.carried_packages import model_of
    from bench.report.licence_table import grouped, licence_table
    from bench.report.writers import csv, markdown, terminal

    carried = _carried(options)
    model = model_of(options.root)
    found = grouped({"model/": (model,), **carried} if model else carried)
    table = licence_table(found)
    if options.format == "json":
        listed = [{**dataclasses.asdict(one), "in": holders} for one, holders in found]
        print(json.dumps({"schema": 1, "packages": listed}, indent=1))
    elif options.format == "csv":
        print(csv.table(table), end="")
    elif options.format == "markdown":
        print("\n".join(markdown.table(table)))
    else:
        shape = terminal.fitted(table, WIDTH, ())
        print(terminal.written(terminal.lines(shape, WIDTH), colour=False), end="")
    return 0


def _carried(options: LicencesOptions) -> Mapping[str, Sequence["CarriedPackage"]]:
    """The packages by the name of the strategy whose image carries them; what cannot be listed is said."""
    from bench.measure.runtime.carried_packages import packages_here, packages_of_image
    from bench.measure.runtime.engine_client import connect_engine
    from bench.measure.runtime.registry import load_registry

    registry = load_registry(options.root)
    strategies = registry.select(options.strategies or None)
    if options.runtime == "process":
        return {HERE: packages_here()}
    engine = connect_engine()
    found = {}
    for one in strategies:
        service = one.service
        remedy = f"build it, `docker compose build {service}`"
        packages = packages_of_image(engine, registry.image_name(service), remedy)
        if packages is None:
            sys.stderr.write(f"bench: {one.name} is left out: its image runs no Python that could list it\n")
            continue
        found[one.name] = packages
        if not any(package.kind == "debian" for package in packages):
            sys.stderr.write(f"bench: {one.name}: dpkg knows no package, so Python's alone are listed\n")
    return found
