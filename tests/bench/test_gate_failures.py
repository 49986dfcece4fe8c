"""A gate of which a side cannot be measured: the others are judged, the files are written, and say so."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.bench.test_gate_run import RULES, change, git, only_folder

pytestmark = pytest.mark.slow

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
SLOW = '\n[[primary]]\nstrategy = "slow"\nmetric = "throughput"\ntolerance = "5%"\n'
FILES = {"gate.json", "gate.md", "gate.html", "gate.junit.xml"}
DIES = "import sys; sys.exit('no model here')\n"


@pytest.fixture
def repository(project: Path) -> Path:
    """The project with rules for both strategies, each with code of its own, tagged `before`."""
    code = (project / "stub_strategy.py").read_text()
    for name in ("fast", "slow"):
        (project / f"{name}.py").write_text(code)
    text = (project / "compose.yaml").read_text()
    first, second = text.split("  slow-service:")
    text = (
        first.replace("stub_strategy.py", "fast.py")
        + "  slow-service:"
        + second.replace("stub_strategy.py", "slow.py")
    )
    (project / "compose.yaml").write_text(text)
    (project / "gate.toml").write_text(RULES + SLOW)
    for step in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "As it was")):
        git(project, *step)
    git(project, "tag", "before")
    return project


@pytest.fixture
def gate(bench: Bench, repository: Path, tmp_path: Path) -> Bench:
    def call(*args: str | Path) -> "subprocess.CompletedProcess[str]":
        places = ("--root", repository, "--results", tmp_path / "results", "--runtime", "process")
        return bench("gate", *places, *args)

    return call


def told(tmp_path: Path) -> dict[str, Any]:
    """gate.json, beside which every other file stands too."""
    folder = only_folder(tmp_path)
    assert {path.name for path in folder.iterdir()} >= FILES
    ElementTree.parse(folder / "gate.junit.xml")  # noqa: S314  # our own file
    found: dict[str, Any] = json.loads((folder / "gate.json").read_text())
    shown = (folder / "gate.md").read_text()
    assert f"## Gate: {found['verdict']}" in shown
    assert bool(found["not_judged"]) == ("Not judged: " in shown)
    return found


def by_rule(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["rule"]: one for one in found["findings"]}


def judged(found: dict[str, Any], strategy: str) -> bool:
    """Whether the strategy's throughput was compared: a host that is busy may void its rounds."""
    one = by_rule(found)[f"primary.{strategy}.throughput"]
    return (
        one["comparison"] is not None
        or "rounds have both" in one["sentence"]
        or "is valid" in one["sentence"]
    )


@pytest.mark.parametrize("side", ["head", "base"])
def test_a_side_that_does_not_start_leaves_the_other_strategies_to_be_judged(
    side: str, gate: Bench, repository: Path, tmp_path: Path
) -> None:
    good = (repository / "fast.py").read_text()
    (repository / "fast.py").write_text(DIES)
    if side == "base":
        git(repository, "commit", "--quiet", "--all", "--message", "It dies")
        git(repository, "tag", "--force", "before")
        (repository / "fast.py").write_text(good)
    done = gate("--against", "before")
    found = told(tmp_path)
    assert done.returncode in (3, 4), done.stdout + done.stderr
    assert done.returncode == found["exit_code"]
    (lost,) = found["not_judged"]
    assert (lost["strategy"], lost["side"], lost["code"]) == ("fast", side, "start_failed")
    assert "no model here" in lost["why"]
    assert "Not judged: fast" in found["sentence"]
    rule = by_rule(found)["primary.fast.throughput"]
    assert rule["verdict"] == "invalid"
    assert side in rule["sentence"]
    assert judged(found, "slow")
    assert by_rule(found)["limit.slow.wrong_answers.most"]["head"] == 0


def test_wrong_answers_of_head_before_the_rounds_break_their_limit(
    gate: Bench, repository: Path, tmp_path: Path
) -> None:
    change(repository, "name: 0.9 if", "name: (0.7 if len(image) > 10_000 else 0.9) if", "fast.py")
    done = gate("--against", "before")
    found = told(tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    limit = by_rule(found)["limit.fast.wrong_answers.most"]
    assert limit["verdict"] == "regression"
    assert limit["head"] > 0
    assert by_rule(found)["primary.fast.throughput"]["verdict"] == "invalid"
    assert found["not_judged"][0]["code"] == "wrong_answers"
    assert judged(found, "slow")


def test_where_nothing_starts_all_files_are_written(gate: Bench, repository: Path, tmp_path: Path) -> None:
    for name in ("fast", "slow"):
        (repository / f"{name}.py").write_text(DIES)
    done = gate("--against", "before")
    found = told(tmp_path)
    assert done.returncode == found["exit_code"] == 4, done.stdout + done.stderr
    assert {one["strategy"] for one in found["not_judged"]} == {"fast", "slow"}
    assert {one["verdict"] for one in found["findings"]} == {"invalid"}


def test_a_copy_that_dies_after_two_rounds_leaves_the_other_strategy(
    gate: Bench, repository: Path, tmp_path: Path
) -> None:
    """Its third copy in a round, after the one of parity, does not start any more."""
    starts = 'with open("starts", "ab") as s:\n    s.write(b".")\n    assert s.tell() <= 3, "no model here"\n'
    (repository / "fast.py").write_text(starts + (repository / "fast.py").read_text())
    done = gate("--against", "before")
    found = told(tmp_path)
    assert done.returncode in (3, 4), done.stdout + done.stderr
    rule = by_rule(found)["primary.fast.throughput"]
    assert rule["verdict"] == "invalid"
    assert "no model here" in rule["sentence"]
    assert judged(found, "slow")


def test_what_cannot_be_compared_at_all_is_written_too(gate: Bench, repository: Path, tmp_path: Path) -> None:
    (repository / "images" / "small_0.jpg").write_bytes(b"another picture")
    done = gate("--against", "before")
    found = told(tmp_path)
    assert done.returncode == found["exit_code"] == 4
    assert "different requests of class small" in done.stderr
    assert "different requests of class small" in found["sentence"] + str(found["findings"])
    assert {one["verdict"] for one in found["findings"]} == {"invalid"}


def test_a_mistake_on_the_command_line_writes_nothing(gate: Bench, tmp_path: Path) -> None:
    assert gate("--against", "no-such-branch").returncode == 2
    assert not (tmp_path / "results").exists()
