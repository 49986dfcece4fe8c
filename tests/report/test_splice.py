"""The README's part: spliced in, checked, and refused where the marks are missing."""

import dataclasses
from pathlib import Path

import pytest

from bench.model import Run
from bench.report.splice import BEGIN, END, main
from bench.run_file import write_run


@pytest.fixture
def readme(run: Run, tmp_path: Path) -> Path:
    (tmp_path / "results" / "reference").mkdir(parents=True)
    write_run(run, tmp_path / "results" / "reference")
    path = tmp_path / "README.md"
    path.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe end.\n", encoding="utf-8")
    return path


def splice(readme: Path, *flags: str) -> int:
    return main([str(readme), str(readme.parent / "results" / "reference"), *flags])


def test_a_splice_puts_the_results_between_the_marks_and_keeps_the_rest(readme: Path) -> None:
    assert splice(readme) == 0
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"# Title\n\n{BEGIN}\n**onnx answers 2.3")
    assert text.endswith(f"{END}\n\nThe end.\n")
    assert "old" not in text
    assert "| small | onnx | 23" in text
    assert "![throughput](results/reference/plots/throughput.png)" in text
    assert "Example CPU" in text
    assert "| onnx | ONNX Runtime | 2.35" in text
    assert "`python -m bench.report.splice README.md results/reference`" in text
    assert str(readme.parent) not in text


def test_a_second_splice_changes_nothing_and_the_check_passes(readme: Path) -> None:
    splice(readme)
    once = readme.read_text(encoding="utf-8")
    assert splice(readme, "--check") == 0
    assert splice(readme) == 0
    assert readme.read_text(encoding="utf-8") == once


def test_the_check_finds_a_stale_text_in_one_line_and_leaves_it(
    readme: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    splice(readme)
    before = readme.read_text(encoding="utf-8")
    write_run(dataclasses.replace(run, trials=run.trials[:-1]), readme.parent / "results" / "reference")
    assert splice(readme, "--check") == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "README.md is stale: run `python -m bench.report.splice README.md results/reference`" in complaint
    assert readme.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("text", ["no marks", BEGIN, f"{END}\n{BEGIN}"])
def test_a_document_without_both_marks_in_order_is_refused(
    readme: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    readme.write_text(text, encoding="utf-8")
    assert splice(readme) == 2
    assert "README.md lacks" in capsys.readouterr().err
    assert readme.read_text(encoding="utf-8") == text


def test_a_missing_document_or_run_is_one_line(readme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(readme.parent / "NO.md"), "results"]) == 2
    assert main([str(readme), str(readme.parent)]) == 2
    assert capsys.readouterr().err.count("\n") == 2
