"""The formats that a run's report is written in: a function of what it is made from a file name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.run_analysis import RunAnalysis
from bench.report import markdown, page


@dataclass(frozen=True, slots=True)
class Source:
    """What a report is made from: the run's analysis, its folder, its pictures as paths relative to that.

    `extra` holds sections that go on top of the page, as lines of Markdown by title.
    """

    analysis: RunAnalysis
    folder: Path
    pictures: Sequence[Path]
    extra: Mapping[str, Sequence[str]]


FORMATS: dict[str, Callable[[Source], str]] = {
    "report.md": lambda one: markdown.render(one.analysis, one.pictures),
    "report.html": lambda one: page.render(one.analysis, one.pictures, one.folder, one.extra),
}
