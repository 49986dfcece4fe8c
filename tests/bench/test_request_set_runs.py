"""A run of a request set without images: sent as it is, judged as it says, loud if nothing judges it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SHORT = ("--runtime", "process", "--strategies", "fast", "--quick", "--window-s", "1", "--warmup-s", "0.5")
ALONE = ("--concurrency", "2", "--startups", "0")


def made(folder: Path, expect: dict[str, Any]) -> Path:
    """Requests with JSON that the stub takes, and what must come back."""
    folder.mkdir()
    requests = [
        {
            "name": f"request {number}",
            "class": "whole",
            "json": {"image": base64.b64encode(b"%d" % number).decode()},
            "expect": expect,
        }
        for number in range(3)
    ]
    (folder / "manifest.json").write_text(json.dumps({"schema_version": 2, "requests": requests}))
    return folder


def test_answers_that_nothing_checks_are_measured_and_said_loudly(
    bench: Any, project: Path, tmp_path: Path
) -> None:
    requests = made(tmp_path / "set", {"compare": "unchecked"})
    done = bench(
        *("run", "--root", project, "--requests", requests, *SHORT, *ALONE, "--loop-seconds", "0.3"),
        *("--results", tmp_path / "results"),
    )
    (folder,) = (tmp_path / "results").iterdir()
    found = json.loads((folder / "run.json").read_text())
    (trial,) = found["trials"]
    assert (trial["payload_class"], trial["encoding"], trial["wrong_answers"]) == ("whole", "as-is", 0)
    assert trial["ok"] > 0, done.stderr
    assert found["environment"]["settings"]["unchecked"] == {"whole": 3}
    assert found["environment"]["settings"]["comparators"] == ["unchecked"]
    assert "unchecked_answers" in {one["code"] for one in found["doubts"]}
    assert found["strategies"]["fast"]["loops"], done.stderr
    for told in (done.stdout, (folder / "report.md").read_text(), (folder / "report.html").read_text()):
        assert "ANSWERS UNCHECKED" in " ".join(told.split())
        assert "UNCHECKED)" in told


def test_what_the_comparator_refuses_ends_the_run_before_anything_is_timed(
    bench: Any, project: Path, tmp_path: Path
) -> None:
    requests = made(tmp_path / "set", {"compare": "json", "value": {"prediction": "hail"}})
    args = ("run", "--root", project, "--requests", requests, *SHORT, *ALONE, "--loop-seconds", "0")
    done = bench(*args, "--results", tmp_path / "results")
    assert done.returncode == 4
    assert "nothing was timed" in done.stderr
    assert "where another answer is right (/prediction is" in done.stderr
    # three requests with one right answer: whatever comes back for the one is right for the others
    before, _, _ = done.stderr.partition("nothing was timed")
    assert "the answers to class whole are not told apart: in 100% of its pairs of requests" in before
    (folder,) = (tmp_path / "results").iterdir()
    found = json.loads((folder / "run.json").read_text())
    assert "answers_alike" in {one["code"] for one in found["doubts"]}


def test_a_bad_set_is_one_line_before_anything_starts(bench: Any, project: Path, tmp_path: Path) -> None:
    requests = made(tmp_path / "set", {"compare": "guess"})
    done = bench("run", "--root", project, "--requests", requests, *SHORT)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("bench: set/manifest.json is not a request set")
