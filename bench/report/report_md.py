"""report.md: the sentence, every section, and the pictures."""

from collections.abc import Sequence
from pathlib import Path

from bench.report.report import Report
from bench.report.writers.markdown import section


def render(report: Report) -> str:
    """The whole report."""
    lines = ["# Benchmark report", "", f"**{report.sentence}**", "", f"Measured {report.machine}."]
    for one in report.sections:
        lines += ["", *section(one)]
    lines += ["", "## Plots", "", *_pictures(report.pictures)]
    return "\n".join(lines) + "\n"


def _pictures(pictures: Sequence[Path]) -> list[str]:
    pngs = [picture for picture in pictures if picture.suffix == ".png"]
    svgs = {picture.with_suffix("").as_posix() for picture in pictures if picture.suffix == ".svg"}
    lines = []
    for png in pngs:
        base = png.with_suffix("").as_posix()
        link = f" ([SVG]({base}.svg))" if base in svgs else ""
        lines += [f"![{png.stem.replace('_', ' ')}]({png.as_posix()}){link}", ""]
    return lines[:-1] or ["None could be drawn."]
