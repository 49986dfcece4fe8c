"""The verbs that read finished runs: report, compare and index, as a user calls them."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.cli import main
from bench.report.compare_runs import RENDERERS
from bench.report.formats import PRINTED
from bench.report.verdict import FORMATS, VerdictFormat

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
REFERENCE = "results/20261120T123610Z-8fc212b"
ANOTHER = "results/20261124T210427Z-db782fb"


def bench(*args: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *map(str, args)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_a_format_is_one_line_of_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(PRINTED, "shout", lambda report: f"{len(report.analysis.run.trials)} TRIALS!\n")
    monkeypatch.setitem(RENDERERS, "shout", lambda comparison: f"{comparison.base_name}!\n")
    assert main(["report", REFERENCE, "--format", "shout"]) == 0
    assert main(["compare", REFERENCE, ANOTHER, "--format", "shout"]) == 0
    assert capsys.readouterr().out == f"36 TRIALS!\n{Path(REFERENCE).name}!\n"
    monkeypatch.setitem(
        FORMATS, "shout", VerdictFormat(lambda judgement: f"{judgement.verdict}!\n", "gate.txt")
    )
    assert main(["gate", "--baseline", REFERENCE, "--head", REFERENCE, "--format", "shout"]) == 5
    assert capsys.readouterr().out == "inconclusive!\n"
    for verb in ("report", "compare", "gate"):
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        assert ",shout}" in capsys.readouterr().out


@pytest.mark.parametrize("name", PRINTED)
def test_report_prints_a_format_and_writes_nothing(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(ROOT / REFERENCE, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    done = bench("report", folder, "--format", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    if name in ("smaller", "bigger"):
        assert all({"name", "unit", "value"} <= entry.keys() for entry in json.loads(done.stdout))
    elif name == "junit":
        suite = ElementTree.fromstring(done.stdout)  # noqa: S314  # our own output
        assert len(list(suite.iter("testcase"))) == 6
    elif name.startswith("csv"):
        rows = list(csv.reader(io.StringIO(done.stdout)))
        assert len({len(row) for row in rows}) == 1
        assert len(rows) > 36
    else:
        assert "batched serves 2.3 times" in done.stdout


def test_report_as_json_is_one_document_that_names_the_files_it_wrote(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(ROOT / REFERENCE, folder)
    done = bench("report", folder, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["schema"] == 1
    assert told["sentence"].startswith("batched answers 2.33")
    assert {"report.md", "report.html"} <= set(told["files"])
    assert all((folder / name).is_file() for name in told["files"])


@pytest.mark.parametrize("name", RENDERERS)
def test_compare_says_that_two_machines_or_settings_differ(name: str) -> None:
    done = bench("compare", REFERENCE, ANOTHER, "--format", name)
    assert done.returncode == 0, done.stderr
    assert "kernel" in done.stdout
    if name == "json":
        json.loads(done.stdout)


def test_compare_of_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    done = bench("compare", REFERENCE, tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "no run.json" in done.stderr


def test_index_writes_a_page_over_a_folder_of_runs(tmp_path: Path) -> None:
    for run in (REFERENCE, ANOTHER):
        (tmp_path / Path(run).name).mkdir()
        shutil.copy(ROOT / run / "run.json", tmp_path / Path(run).name)
    done = bench("index", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert Path(REFERENCE).name in page
    assert Path(ANOTHER).name in page
    assert all(len(line) <= 80 for line in done.stdout.splitlines()[1:])
    assert Path(REFERENCE).name in done.stdout
    assert "hidden" not in done.stdout
    assert bench("index", "--all", tmp_path).stdout == done.stdout


def test_index_of_a_folder_without_runs_is_one_line(tmp_path: Path) -> None:
    done = bench("index", tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
