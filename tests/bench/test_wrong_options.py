"""What is wrong on the command line is one line that names the help of the verb that was typed."""

import pytest

from bench.cli import main
from bench.verbs import VERBS
from bench.verbs.plan import PLANNED
from bench.verbs.requests import ACTIONS

EVERY = [
    *(verb for verb in VERBS if verb != "requests"),
    *(f"requests {action}" for action in ACTIONS),
    *(f"plan {verb}" for verb in PLANNED),
]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("verb", EVERY)
@pytest.mark.parametrize("wrong", [("--nonsense",), ("--nonsense", "3"), ("--nonsense=3",)])
def test_an_unknown_option_names_itself_and_the_help_of_its_verb(
    capsys: pytest.CaptureFixture[str], verb: str, wrong: tuple[str, ...]
) -> None:
    line = refused(capsys, *verb.split(), *wrong)
    assert line.startswith("bench: ")
    assert "--nonsense" in line
    assert line.endswith(f" {verb} --help`")


# an option of each verb that takes a value, and a value that makes no sense; index takes none
BAD = {
    "run": ("--rounds", "many"),
    "plan": ("--rounds", "many"),
    "slo": ("--window-s", "-1"),
    "aa": ("--rounds", "0"),
    "gate": ("--rounds", "0"),
    "compare": ("--format", "poem"),
    "report": ("--format", "poem"),
    "ceiling": ("--window-s", "x"),
    "doctor": ("--service-cores", "x-y"),
    "worker": ("--master", "nowhere:port"),
    "requests make": ("--count", "0"),
    "requests record": ("--tolerance", "x"),
    **{f"plan {verb}": ("--max-other-cpu", "much") for verb in PLANNED},
}


@pytest.mark.parametrize("verb", BAD)
def test_a_value_that_makes_no_sense_names_its_option_and_the_help_of_its_verb(
    capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    option, value = BAD[verb]
    line = refused(capsys, *verb.split(), option, value)
    assert line.startswith(f"bench: argument {option}")
    assert value in line
    assert line.endswith(f" {verb} --help`")


@pytest.mark.parametrize("verb", ["requests", "plan"])
def test_an_unknown_action_is_named_with_those_that_exist(
    capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    line = refused(capsys, verb, "nothing")
    assert "invalid choice: 'nothing'" in line
    assert line.endswith(f" {verb} --help`")
