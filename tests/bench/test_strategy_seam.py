"""Whoever adds a strategy writes a folder and a stanza of compose.yaml: bench measures and shows it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.bench.conftest import HERE, STANZA
from tests.running.exit_codes import code_of
from tests.running.ports import free_port

pytestmark = pytest.mark.slow

Bench = Callable[..., "CompletedProcess[str]"]
SMALL = ("--concurrency", "4", "--payloads", "small")
SHORT = ("--warmup-s", "0.3", "--window-s", "1", "--startups", "0", *SMALL)


def add_strategy(project: Path) -> None:
    """Add a folder with a service, and its stanza; nothing else is touched."""
    folder = project / "third"
    folder.mkdir()
    shutil.copy(HERE / "stub_strategy.py", folder / "__main__.py")
    stanza = STANZA.format(
        name="third", delay=0.01, port=free_port(), variable="THIRD_PORT", image="bench-test-third"
    )
    for command in ('"python", "stub_strategy.py"', "python stub_strategy.py loop"):
        assert stanza.count(command) == 1
    stanza = stanza.replace('"python", "stub_strategy.py"', '"python", "-m", "third"')
    stanza = stanza.replace("python stub_strategy.py loop", "python -m third loop")
    with (project / "compose.yaml").open("a") as compose:
        compose.write(stanza)


def test_a_folder_and_a_stanza_are_planned_measured_and_shown(
    bench: Bench, project: Path, tmp_path: Path
) -> None:
    before = bench("plan", "--root", project, "--quick", *SHORT)
    assert before.returncode == 0, before.stderr
    add_strategy(project)
    after = bench("plan", "--root", project, "--quick", *SHORT)
    assert after.returncode == 0, after.stderr
    added = set(after.stdout.splitlines()[1:]) - set(before.stdout.splitlines()[1:])
    assert "round 1: trial third small" in added
    assert "parity third" in added
    assert "third" not in before.stdout

    results = tmp_path / "results"
    options = ("--quick", "--runtime", "process", "--loop-seconds", "0.2", *SHORT)
    done = bench("run", "--root", project, "--results", results, *options)
    (folder,) = results.iterdir()
    run = json.loads((folder / "run.json").read_text())
    # a busy machine may spoil so short a window
    assert done.returncode == code_of(run), done.stderr
    assert list(run["strategies"]) == ["fast", "slow", "third"]
    third = run["strategies"]["third"]
    assert third["title"] == "The third stub"
    assert third["startup"]["first_correct_answer_s"]
    assert {loop["payload_class"] for loop in third["loops"]} == {"small"}
    (trial,) = (trial for trial in run["trials"] if trial["strategy"] == "third")
    assert (trial["error"], trial["wrong_answers"]) == (None, 0)
    assert trial["ok"] > 0
    assert (folder / trial["samples"]).is_file()
    rows = [line for line in (folder / "report.md").read_text().splitlines() if line.startswith("| third ")]
    assert rows, "it has a row in the report's tables"
    if done.returncode == 0:
        assert any("third" in line.split() for line in done.stdout.splitlines()), done.stdout
