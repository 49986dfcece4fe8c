"""report.html: the verdict, what to beware of, every section with its pictures, and how to repeat it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Summary
from bench.model import Run
from bench.report import markdown, text
from bench.report.machine import machine_line
from bench.report.page.figures import figure_table
from bench.report.page.paper import fill
from bench.report.page.pictures import Picture, embedded
from bench.report.page.prose import to_html
from bench.report.sentence import sentence

# sections of the report that the page shows in a way of its own
VALIDITY = "Which trials count"
WARNINGS = "Warnings"
MEANING = "What these figures say, and what not"
ENVIRONMENT = "Environment"
COMMAND = "Made by"
OWN = (VALIDITY, WARNINGS, MEANING, ENVIRONMENT, COMMAND)
SHORT = 8


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page: its anchor, its heading, its content and the pictures below it."""

    anchor: str
    title: str
    html: Markup
    pictures: tuple[Picture, ...] = field(default=())


def render(
    analysis: RunAnalysis,
    pictures: Sequence[Path] = (),
    folder: Path = Path(),
    extra: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:
    """The page of a run; pictures are paths relative to its folder.

    `extra` holds sections that go on top, as lines of Markdown by title.
    """
    run, summary = analysis.run, analysis.summary
    top = [_section(title, lines) for title, lines in extra.items()]
    return fill(
        "run.html",
        title=f"{text.listing(list(summary.strategies) or ['no strategy'])}, {run.created[:10]}",
        sentence=sentence(run, summary),
        state=state(run, summary),
        machine=machine_line(run),
        extra=top,
        figures=figure_table(analysis),
        one_round=summary.one_round,
        warnings=_warnings(analysis),
        short=SHORT,
        validity=to_html(VALIDITY, markdown.SECTIONS[VALIDITY](analysis)),
        sections=_sections(analysis, embedded(analysis, folder, pictures)),
        meaning=to_html(MEANING, markdown.SECTIONS[MEANING](analysis)),
        environment=text.flat(run.environment),
        run=run,
        reproduce=_reproduce(run),
    )


def state(run: Run, summary: Summary) -> tuple[str, str]:
    """How far the run may be believed: a class for the eye and the words."""
    if summary.valid_trials == 0:
        return "invalid", "Invalid" if run.trials else "Nothing measured"
    if summary.one_round or run.quick:
        return "doubtful", "Proves nothing: " + ("one round" if summary.one_round else "a quick run")
    left_out = summary.invalid_trials + summary.missing_trials
    if left_out:
        return "doubtful", f"{summary.valid_trials} of {text.plural(run.planned_trials, 'trial')} valid"
    return "valid", f"All {text.plural(summary.valid_trials, 'trial')} valid"


def _sections(analysis: RunAnalysis, pictures: Sequence[Picture]) -> list[Section]:
    """The sections of report.md that have content, each with its pictures; then those of pictures alone."""
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        groups.setdefault(picture.section, []).append(picture)
    found = []
    for title, section in markdown.SECTIONS.items():
        lines = [] if title in OWN else section(analysis)
        if lines:
            found.append(_section(title, lines, groups.pop(title, ())))
    return found + [_section(title, (), left) for title, left in groups.items()]


def _section(title: str, lines: Sequence[str], pictures: Sequence[Picture] = ()) -> Section:
    return Section(anchor(title), title, to_html(title, lines), tuple(pictures))


def anchor(title: str) -> str:
    """A title as the name of a place in the page."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _warnings(analysis: RunAnalysis) -> list[str]:
    """The warnings of the report, a line each, as plain text; none where there is nothing to warn of."""
    lines = markdown.SECTIONS[WARNINGS](analysis)
    return [line.removeprefix("- ") for line in lines if line.startswith("- ")]


def _reproduce(run: Run) -> list[tuple[str, str]]:
    """What a second run must share with this one, beside the machine."""
    environment = run.environment
    settings: Any = environment.get("settings")
    seed = settings.get("seed") if isinstance(settings, Mapping) else None
    commit = str(environment.get("commit") or text.MISSING)
    dirty = " and changes that were not committed" if environment.get("dirty") else ""
    images: Any = environment.get("images")
    rows = [("commit", commit + dirty), ("seed", text.MISSING if seed is None else str(seed))]
    if isinstance(images, Mapping):
        rows += [(f"image of {name}", str(digest)) for name, digest in images.items()]
    return rows
