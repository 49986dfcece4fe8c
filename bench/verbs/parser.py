"""The parser of the command line, made of the table of verbs."""

import argparse
import itertools
import re
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

from bench.report.plain import shortened
from bench.verbs import VERBS

# of an address, what may be a password or a key
USER, QUERY = re.compile(r"://\S*@"), re.compile(r"(?<=\S)\?\S+.*")


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
        self.exit(2, f"bench: {shortened(_without_keys(message))}: see `{self.prog} --help`\n")


class VerbParser(OneLine):
    """A verb's parser: what it does not know is its own mistake, so that the line names its own help."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all words; ends with exit code 2 if one is not known."""
        self._refuse_unknown_options(args or ())
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        """End if an option is not known: else its value may be taken for an action, or what lacks be told."""
        actions = [one for one in self._actions if isinstance(one, argparse._SubParsersAction)]
        ends = {"--", *(name for one in actions for name in one.choices)}
        mine = itertools.takewhile(lambda word: word not in ends, words)
        known = self._option_string_actions
        unknown = [word for word in mine if word.startswith("--") and word.partition("=")[0] not in known]
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")


def build_parser(declared: Collection[str] | None = None) -> argparse.ArgumentParser:
    """The parser of all verbs; only the `declared` verbs, by default all, have their arguments."""
    parser = OneLine(
        prog=called(),
        description="Compare model-serving strategies under identical conditions.",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=VerbParser)
    for name, (_, words) in VERBS.items():
        verb = verbs.add_parser(name, allow_abbrev=False, help=words)
        if declared is None or name in declared:
            find_verb(name).declare(verb)
    return parser


def find_verb(name: str) -> Verb:
    """The verb's file, imported."""
    return cast(Verb, import_module(VERBS[name][0]))


def called() -> str:
    """The words that started this program: as a module, or by the script that the wheel installs."""
    return "bench" if Path(sys.argv[0]).stem == "bench" else "python -m bench"


def _without_keys(message: str) -> str:
    """The message, which may quote a mistyped option, without the user and the query of an address in it."""
    return QUERY.sub("?…", USER.sub("://…@", message))
