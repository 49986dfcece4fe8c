"""The marks of a Markdown file between which text is spliced, and what stands between them.

A block begins with a line `<!-- splice: KIND ARGUMENT ... -->` and ends with a line `<!-- splice end -->`.
Marks within a fenced block of code are words about marks.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from bench.errors import UsageError

END = "<!-- splice end -->"
BEGIN = re.compile(r"<!-- splice: *(?P<words>.*?) *-->")
# what somebody who mistypes a mark writes
ALMOST = re.compile(r"<!--\s*splice\b", re.IGNORECASE)
FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a block is made of: its kind and the kind's arguments, as `file`'s line says."""

    file: str
    line: int
    kind: str
    arguments: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where the mark stands, for a message: `README.md, line 12`."""
        return f"{self.file}, line {self.line}"


def spliced(text: str, name: str, block: Callable[[Mark], str]) -> str:
    """The text with every block replaced by what `block` makes of its mark, between blank lines.

    Raises UsageError if a mark is mistyped or has no end, or an end has no beginning.
    """
    kept: list[str] = []
    mark: Mark | None = None
    fence = ""
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        words = line.strip()
        if mark is not None:
            if words == END:
                kept += ["\n", block(mark), "\n", line]
                mark = None
            elif ALMOST.match(words):
                raise _no_end(mark)
            continue
        kept.append(line)
        fence = _fence(line, fence)
        if not fence and ALMOST.match(words):
            mark = _mark(words, name, number)
    if mark is not None:
        raise _no_end(mark)
    return "".join(kept)


def _mark(words: str, name: str, number: int) -> Mark:
    found = BEGIN.fullmatch(words)
    if words == END:
        raise UsageError(f"{name}, line {number}: {END} ends nothing: write <!-- splice: KIND ... --> above")
    if found is None or not found["words"]:
        raise UsageError(f"{name}, line {number}: {words} is not a mark: write <!-- splice: KIND ... -->")
    kind, *arguments = found["words"].split()
    return Mark(name, number, kind, tuple(arguments))


def _no_end(mark: Mark) -> UsageError:
    return UsageError(f"{mark.place}: splice: {mark.kind} has no end: write {END} on a line of its own below")


def _fence(line: str, open_fence: str) -> str:
    """The fence that is open after the line; empty if none is."""
    found = FENCE.match(line)
    if found is None:
        return open_fence
    if not open_fence:
        return found["fence"]
    closes = found["fence"].startswith(open_fence) and line.strip() == found["fence"]
    return "" if closes else open_fence
