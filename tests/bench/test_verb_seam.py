"""A verb is one file and a line in the table of verbs: it shows in --help, has its own, and is run."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import pytest

from bench.cli import main
from bench.docs.help import all_help
from bench.verbs import VERBS


@dataclass(frozen=True, slots=True)
class GreetOptions:
    """Who is greeted, and how often."""

    name: str
    times: int


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="who is greeted")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="how often (1)")


def read(args: argparse.Namespace, _: Sequence[str]) -> GreetOptions:
    return GreetOptions(args.name, args.times)


def do(options: GreetOptions) -> int:
    print(*[f"hello {options.name}"] * options.times, sep="\n")
    return options.times


@pytest.fixture
def greet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions above as the file of a verb, and its line."""
    module = ModuleType("verb_of_a_test")
    module.__dict__.update(declare=declare, read=read, do=do)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(VERBS, "greet", (module.__name__, "say hello"))


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("greet")
def test_an_added_verb_is_in_the_help_and_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert "say hello" in shown(capsys, "--help")
    assert "--times N" in shown(capsys, "greet", "--help")
    assert "## greet\n" in all_help()


@pytest.mark.usefixtures("greet")
def test_an_added_verb_is_run_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["greet", "you", "--times", "3"]) == 3
    assert capsys.readouterr().out == "hello you\n" * 3


def test_without_its_line_there_is_no_such_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["greet", "you"])
    assert "invalid choice: 'greet'" in capsys.readouterr().err


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_of_the_table_has_the_three_functions(name: str) -> None:
    from bench.verbs.parser import find_verb

    verb = find_verb(name)
    assert all(callable(function) for function in (verb.declare, verb.read, verb.do))
