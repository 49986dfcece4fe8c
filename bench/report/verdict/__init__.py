"""The gate's judgement in every format; a format is a function of the judgement and a line in a dict.

What a format needs is imported when it is asked for: `bench --help` must not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.gate import Judgement


@dataclass(frozen=True, slots=True)
class VerdictFormat:
    """How a judgement is written, and the name of the file that holds it in the gate's folder, if any."""

    render: Callable[[Judgement], str]
    file: str = ""


def _text(judgement: Judgement) -> str:
    from bench.report.verdict import verdict_terminal

    return verdict_terminal.render(judgement)


def _json(judgement: Judgement) -> str:
    from bench.report.verdict import verdict_files

    return verdict_files.as_json(judgement)


def _markdown(judgement: Judgement) -> str:
    from bench.report.verdict import verdict_files

    return verdict_files.as_markdown(judgement)


def _html(judgement: Judgement) -> str:
    from bench.report.verdict import verdict_page

    return verdict_page.render(judgement)


def _junit(judgement: Judgement) -> str:
    from bench.report.verdict import verdict_files

    return verdict_files.as_junit(judgement)


FORMATS: dict[str, VerdictFormat] = {
    "text": VerdictFormat(_text),
    "json": VerdictFormat(_json, "gate.json"),
    "markdown": VerdictFormat(_markdown, "gate.md"),
    "html": VerdictFormat(_html, "gate.html"),
    "junit": VerdictFormat(_junit, "gate.junit.xml"),
}
"""What `bench gate --format` prints, and what the gate leaves in its folder."""


def write_judgement(judgement: Judgement, folder: Path) -> list[Path]:
    """Write every format that has a file into the folder and return the files."""
    written = []
    for one in FORMATS.values():
        if one.file:
            path = folder / one.file
            path.write_text(one.render(judgement), encoding="utf-8")
            written.append(path)
    return written
