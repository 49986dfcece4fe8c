"""The parser of the command line, made of the table of verbs."""

import argparse
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Any, NoReturn, Protocol, cast

from bench.verbs import VERBS


class Verb(Protocol):
    """What the file of a verb holds."""

    def declare(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""

    def read(self, args: argparse.Namespace, given: Sequence[str]) -> Any:
        """Make the verb's options of what was parsed, and of the words that it was parsed from."""

    def do(self, options: Any) -> int:
        """Do what the options say, and return the exit code."""


class OneLine(argparse.ArgumentParser):
    """A parser that says a mistake in one line: what is wrong, and where the help is."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"bench: {message}: see `{self.prog} --help`\n")


def build_parser(declared: Collection[str] | None = None) -> argparse.ArgumentParser:
    """The parser of all verbs; only the `declared` verbs, by default all, have their arguments."""
    parser = OneLine(
        prog="python -m bench",
        description="Compare model-serving strategies under identical conditions.",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (_, words) in VERBS.items():
        verb = verbs.add_parser(name, allow_abbrev=False, help=words)
        if declared is None or name in declared:
            find_verb(name).declare(verb)
    return parser


def find_verb(name: str) -> Verb:
    """The verb's file, imported."""
    return cast(Verb, import_module(VERBS[name][0]))
