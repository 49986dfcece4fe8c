"""Every run in results/ is still reported, whatever schema wrote it."""

import shutil
from pathlib import Path

import pytest

from bench.report import terminal_summary, write_report
from bench.run_file import read_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RUNS = sorted(path.parent for path in (ROOT / "results").glob("*/run.json"))


def test_there_are_committed_runs() -> None:
    assert RUNS


def tables(report: str) -> list[list[dict[str, str]]]:
    """The cells of every row of every table, by the column's header."""
    blocks = [block.splitlines() for block in report.split("\n\n") if block.startswith("| ")]
    split = [[line.strip("| ").split(" | ") for line in lines] for lines in blocks]
    return [[dict(zip(header, row, strict=False)) for row in rows] for header, _rule, *rows in split]


@pytest.mark.parametrize("folder", RUNS, ids=[folder.name for folder in RUNS])
def test_a_committed_run_is_reported_with_its_tables_and_pictures(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("plots", "report.md"))
    written = write_report(copy)
    report = (copy / "report.md").read_text(encoding="utf-8")
    assert "## Throughput and latency" in report
    before = (folder / "report.md").read_text(encoding="utf-8")
    for new, old in zip(tables(report), tables(before), strict=True):
        shared = [{header: row[header] for header in was} for row, was in zip(new, old, strict=True)]
        assert shared == old, "the same figures as when it was committed"
    drawn = {path.stem for path in written if path.suffix == ".png"}
    assert drawn == {path.stem for path in (folder / "plots").glob("*.png")} >= {"startup", "image_size"}
    lines = terminal_summary(read_run(copy), 100).splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 40
