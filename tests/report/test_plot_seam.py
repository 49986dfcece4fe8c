"""Whoever adds a plot writes one value: its files, its text and its place follow."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from bench.analysis.run_analysis import RunAnalysis
from bench.model import Run
from bench.report import plots, write_report
from bench.report.plots import style
from bench.report.plots.plot import Plot, figures_in_focus

Write = Callable[[Run, Path], Path]


def draw(analysis: RunAnalysis) -> Figure | None:
    """A dot for each trial."""
    if not analysis.run.trials:
        return None
    figure, (axes,) = style.new_figure(3.0)
    axes.plot([trial.requests for trial in analysis.run.trials], "o")
    axes.set_ylabel("requests")
    return figure


def describe(analysis: RunAnalysis) -> str:
    return f"a dot for each trial. {figures_in_focus(analysis, 'throughput')}"


@pytest.mark.parametrize(
    ("section", "after"),
    [
        ("Image size", "Service against its own bare loop"),
        ("Requests of each trial", "How to reproduce"),
    ],
)
def test_a_new_plot_is_drawn_described_and_placed(
    section: str, after: str, run: Run, write_folder: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # one quick plot beside it, so that its place among others is seen
    monkeypatch.setattr(plots, "PLOTS", {"image_size": plots.PLOTS["image_size"]})
    monkeypatch.setitem(plots.PLOTS, "request_count", Plot("request_count", section, draw, describe))
    folder = write_folder(run, tmp_path / "run")
    written = [path.relative_to(folder).as_posix() for path in write_report(folder)]
    names = ("image_size", "request_count")
    assert written[2:] == [f"plots/{name}{suffix}" for name in names for suffix in (".png", ".svg")]

    with Image.open(folder / "plots" / "request_count.png") as picture:
        assert len(picture.convert("RGB").getcolors(99_999)) > 2, "the PNG shows something"
    svg = ElementTree.parse(folder / "plots" / "request_count.svg")  # noqa: S314  # we wrote it ourselves
    assert svg.getroot().tag.endswith("svg")

    page = unescape((folder / "report.html").read_text(encoding="utf-8"))
    _, _, below = page.partition(f">{section}</h2>")
    here, _, _ = below.partition(f">{after}</h2>")
    assert 'id="picture-request_count"' in here, "it stands below its section"
    assert 'alt="Request count: a dot for each trial. torch, small: 100' in here
    assert page.count('id="picture-request_count"') == 1

    markdown = (folder / "report.md").read_text(encoding="utf-8")
    below = markdown.split(f"\n## {section}\n")[1].split("\n## ")[0]
    assert "![request count](plots/request_count.png) ([SVG](plots/request_count.svg))" in below.splitlines()


def test_a_new_plot_without_data_leaves_no_trace(
    run: Run, write_folder: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plot = Plot("request_count", "Nowhere else", lambda _: None, describe)
    monkeypatch.setattr(plots, "PLOTS", {"request_count": plot})
    folder = write_folder(run, tmp_path / "run")
    (folder / "plots").mkdir()
    for suffix in plots.SUFFIXES:
        (folder / "plots" / f"request_count{suffix}").write_bytes(b"an older report's")
    write_report(folder)
    assert list((folder / "plots").iterdir()) == []
    assert "Nowhere else" not in (folder / "report.html").read_text(encoding="utf-8")
    assert "No picture could be drawn." in (folder / "report.md").read_text(encoding="utf-8")
