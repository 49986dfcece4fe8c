"""report.md: whom to choose, the one table and the one picture, then every section and picture."""

from collections.abc import Sequence
from pathlib import Path

from bench.report.key_table import key_table
from bench.report.plain import in_markdown
from bench.report.report import Report
from bench.report.writers.markdown import blocks, section


def render(report: Report) -> str:
    """The whole report."""
    first, others = _pictures(report.pictures)
    lines = [
        "# Benchmark report",
        "",
        f"**{in_markdown(report.choice)}**",
        "",
        *blocks(key_table(report.analysis)),
        "",
        *([in_markdown(report.checked), ""] if report.checked else []),
        in_markdown(f"Measured {report.machine}."),
        "",
        *first,
    ]
    for one in report.sections:
        lines += ["", *section(one)]
    lines += ["", "## More pictures", "", *others] if others else []
    return "\n".join(lines) + "\n"


def _pictures(pictures: Sequence[Path]) -> tuple[list[str], list[str]]:
    """The lines of the first picture, and those of the others; that none could be drawn, if none could."""
    pngs = [picture for picture in pictures if picture.suffix == ".png"]
    svgs = {picture.with_suffix("").as_posix() for picture in pictures if picture.suffix == ".svg"}
    lines = []
    for png in pngs:
        base = png.with_suffix("").as_posix()
        link = f" ([SVG]({base}.svg))" if base in svgs else ""
        lines += [f"![{png.stem.replace('_', ' ')}]({png.as_posix()}){link}", ""]
    return lines[:1] or ["No picture could be drawn."], lines[2:-1]
