"""docs/tasks: each command is one that its program takes, and names what is there. They run at night."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from bench.verbs.parser import build_parser
from modelkit.__main__ import build_parser as modelkit_parser
from tests.docs.task_pages import FOLDER, NAMES, Command, blocks, commands, text_of
from tests.running.processes import ROOT

FEWEST_LINES, MOST_LINES = 40, 90
HEADINGS = ("## What you need", "## What can go wrong", "## Read more")
# what a page may have people type beside bench and modelkit
OTHERS = {"cat", "python", "kill", "git", "go", "curl", "pip"}
# programs that commands of a page have made
MADE = {"examples/own_server/go/server"}
# an option -> the file or folder that it names has to be there
READS = {"--root", "--requests", "--model", "--example", "--code", "--labels", "--ca"}
LINK = re.compile(r"\]\(([^)\s]+)\)")


def typed() -> list[tuple[str, Command]]:
    return [(name, command) for name in NAMES for command in commands(name)]


def test_there_is_a_page_for_each_task() -> None:
    assert {page.stem for page in FOLDER.glob("*.md")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_short_and_says_what_is_needed_and_what_may_fail(name: str) -> None:
    text = text_of(name)
    assert FEWEST_LINES <= len(text.splitlines()) <= MOST_LINES
    assert text.startswith("# ")
    assert text.splitlines()[2].startswith("For whoever ")
    assert [line for line in text.splitlines() if line in HEADINGS] == list(HEADINGS)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_page_links_to_is_there(name: str) -> None:
    for link in LINK.findall(text_of(name)):
        if link.startswith("https://"):
            continue
        path, _, part = link.partition("#")
        target = (FOLDER / path).resolve() if path else FOLDER / f"{name}.md"
        assert target.exists(), link
        if part:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert part in {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}, link


@pytest.mark.parametrize(("name", "command"), typed(), ids=lambda value: str(value)[:60])
def test_a_command_is_one_that_its_program_takes(name: str, command: Command) -> None:
    program, *words = command.words() or ["sets a variable"]
    if program == "bench":
        assert build_parser().parse_args(words).verb == words[0]
    elif program == "modelkit":
        assert modelkit_parser().parse_args(words).verb == words[0]
    elif command.words():
        assert Path(program).name in OTHERS or program in MADE, f"{name}: {command.line}"


def names_of(command: Command) -> list[str]:
    """The files and folders that the command reads."""
    words = command.words()
    found = [value for option, value in pairwise(words) if option in READS]
    if words[:2] == ["modelkit", "add"] or (words[:1] == ["python"] and words[1].endswith(".py")):
        found.append(words[2] if words[0] == "modelkit" else words[1])
    if words[:3] == ["bench", "requests", "from-files"]:
        found.append(words[3])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_a_command_reads_is_written_before_or_in_the_checkout(name: str) -> None:
    before = ""
    for command in commands(name):
        for path in names_of(command):
            there = path.partition("/")[0] in before or (ROOT / path).exists()
            assert there, f"{name}: nothing has written {path} for: {shlex.join(command.words())}"
        before += command.typed


def test_a_command_that_reads_what_nothing_wrote_is_found() -> None:
    (path,) = names_of(Command("bench run --root nowhere-at-all --quick"))
    assert not (ROOT / path).exists()


@pytest.mark.parametrize("name", NAMES)
def test_python_that_a_page_writes_compiles(name: str) -> None:
    for command in commands(name):
        if re.match(r"^cat >\S+\.py ", command.line):
            compile(command.content.rpartition("END_OF_FILE")[0], command.line, "exec")
    assert all(block.strip() for block in blocks(name, "sh"))
