"""report.md: whom to choose, the one table and the one picture, then every section with its pictures."""

from collections.abc import Sequence
from pathlib import Path

from bench.report import plots
from bench.report.contents import contents
from bench.report.document import Section
from bench.report.key_loads import at_loads
from bench.report.key_table import key_table
from bench.report.plain import in_markdown
from bench.report.report import Report
from bench.report.sections.validity import of_the_run
from bench.report.writers.markdown import blocks, folded


def render(report: Report) -> str:
    """The whole report."""
    first, placed = _pictures(report.pictures)
    lines = [
        "# Benchmark report",
        "",
        f"**{in_markdown(report.choice)}**",
        "",
        *blocks(key_table(report.analysis)),
        "",
        *first,
        "",
        *([in_markdown(report.checked), ""] if report.checked else []),
        in_markdown(f"Measured {at_loads(report.analysis.summary)}{report.machine}."),
    ]
    if beware := of_the_run(report.analysis):
        lines += ["", *blocks(beware)]
    titles = [one.title for one in report.sections]
    for one in (*report.sections, *(Section(title, ()) for title in placed if title not in titles)):
        lines += ["", *_section(one, placed.get(one.title, []))]
    return "\n".join(lines) + "\n"


def _section(section: Section, pictures: list[str]) -> list[str]:
    """The lines of a section with its heading; what few readers open, and its pictures, are folded away."""
    shown, shown_pictures = blocks(section.blocks), [line for one in pictures for line in ("", one)][1:]
    if section.folded or not shown:
        inside = [*shown, "", *shown_pictures] if shown and pictures else [*shown, *shown_pictures]
        return [f"## {section.title}", "", *folded(contents(section.blocks, len(pictures)), inside)]
    lines = [f"## {section.title}", "", *shown]
    return [*lines, "", *folded(contents((), len(pictures)), shown_pictures)] if pictures else lines


def _pictures(pictures: Sequence[Path]) -> tuple[list[str], dict[str, list[str]]]:
    """The line of the first picture, or that none could be drawn; and by section those of the others."""
    svgs = {picture.with_suffix("") for picture in pictures if picture.suffix == ".svg"}
    first: list[str] = []
    placed: dict[str, list[str]] = {}
    for png in (picture for picture in pictures if picture.suffix == ".png"):
        base = png.with_suffix("")
        link = f" ([SVG]({base.as_posix()}.svg))" if base in svgs else ""
        line = f"![{png.stem.replace('_', ' ')}]({png.as_posix()}){link}"
        if first:
            placed.setdefault(plots.PLOTS[png.stem].section, []).append(line)
        else:
            first = [line]
    return first or ["No picture could be drawn."], placed
