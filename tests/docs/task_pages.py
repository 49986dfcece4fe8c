"""The pages of docs/tasks: what each has people type, in order."""

import re
import shlex
from dataclasses import dataclass

from tests.running.processes import ROOT

FOLDER = ROOT / "docs/tasks"
NAMES = (
    *("pytorch", "onnx", "sklearn", "url", "own_server"),
    *("settings", "guard", "reading", "platforms"),
)
PROGRAMS = ("bench", "modelkit")
# "END_OF_FILE" ends a file that a page writes
WRITES = re.compile(r"^cat >(\S+) <<'(\w+)'$")


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed as one command: its line, and the file that it writes, if it is one that writes."""

    line: str
    content: str = ""

    @property
    def typed(self) -> str:
        """All of its text."""
        return f"{self.line}\n{self.content}"

    def words(self) -> list[str]:
        """The program and its arguments; `python -m bench` is `bench`, and variables have a value."""
        words = shlex.split(re.sub(r"\$\w+|\$!", "4711", self.line), comments=True)
        while words and re.match(r"^\w+=", words[0]):
            words = words[1:]
        words = words[:-1] if words[-1:] == ["&"] else words
        is_module = len(words) > 2 and words[0].startswith("python") and words[1] == "-m"
        return words[2:] if is_module and words[2] in PROGRAMS else words


def text_of(name: str) -> str:
    """The page's text."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(name), re.MULTILINE | re.DOTALL)


def commands(name: str) -> list[Command]:
    """The page's commands in their order."""
    found = []
    lines = iter("".join(blocks(name, "sh")).replace("\\\n", " ").splitlines())
    for line in lines:
        writes = WRITES.match(line)
        if writes:
            content = "".join(f"{one}\n" for one in iter(lambda: next(lines), writes[2]))
            found.append(Command(line, f"{content}{writes[2]}\n"))
        elif line.strip() and not line.startswith("#"):
            found.append(Command(line))
    return found
