"""A text format is a function of the report and a line in a dict: one that is added arrives everywhere."""

from pathlib import Path

import pytest

from bench.cli import main
from bench.report import write_report
from bench.report.document import Table
from bench.report.formats import PRINTED, WRITTEN
from bench.report.report import Report


def outline(report: Report) -> str:
    """A new format: the title of each section, with the number of rows of its tables."""
    rows = {
        section.title: sum(len(block.rows) for block in section.blocks if isinstance(block, Table))
        for section in report.sections
    }
    return "".join(f"{title}: {count}\n" for title, count in rows.items())


def test_a_format_that_is_added_is_printed_and_in_the_help(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PRINTED, "outline", outline)
    assert main(["report", str(folder), "--format", "outline"]) == 0
    printed = capsys.readouterr().out
    assert "Throughput and latency: 6\n" in printed
    assert "Made by: 0\n" in printed
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    assert "outline" in capsys.readouterr().out


@pytest.mark.slow
def test_a_file_that_is_added_is_written_beside_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WRITTEN, "outline.txt", outline)
    assert folder / "outline.txt" in write_report(folder)
    assert "Startup: 3\n" in (folder / "outline.txt").read_text(encoding="utf-8")


def test_a_format_that_is_not_there_is_refused_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", str(folder), "--format", "outline"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "outline" in line
    assert "csv-summary" in line
