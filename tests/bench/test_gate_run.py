"""`bench gate` from end to end, with local processes of two commits side by side."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
RULES = """
[run]
rounds = 3
window_s = 1.0
warmup_s = 0.5
long_s = 0
concurrency = 6
payloads = ["small"]

[[primary]]
strategy = "fast"
metric = "throughput"
tolerance = "5%"

[[limit]]
metric = "wrong_answers"
most = 0

[[limit]]
metric = "error_rate"
most = "0%"
"""
# a count that outlives a copy: one byte of a file a request
COUNTED = """            served += 1
            with open("count", "ab") as count:
                count.write(b".")
                number = count.tell()
"""
ONLY_FAST = ("--strategies", "fast")


def git(root: Path, *args: str) -> None:
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    subprocess.run(["git", *identity, *args], cwd=root, check=True, capture_output=True)


@pytest.fixture
def repository(project: Path) -> Path:
    """The project as a git repository with gate.toml, one commit, tagged `before`."""
    (project / "gate.toml").write_text(RULES)
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "As it was")
    git(project, "tag", "before")
    return project


@pytest.fixture
def gate(bench: Bench, repository: Path, tmp_path: Path) -> Bench:
    """Run the gate on the repository with local processes."""

    def call(*args: str | Path) -> "subprocess.CompletedProcess[str]":
        measuring = ("--results", tmp_path / "results", "--runtime", "process")
        told = () if {"--again", "--head"} & set(map(str, args)) else measuring
        return bench("gate", "--root", repository, *told, *ONLY_FAST, *args)

    return call


def change(repository: Path, old: str, new: str, file: str = "compose.yaml") -> None:
    text = (repository / file).read_text()
    assert old in text
    (repository / file).write_text(text.replace(old, new))


def only_folder(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "results").iterdir()
    return folder


def findings(folder: Path) -> dict[str, dict[str, Any]]:
    told = json.loads((folder / "gate.json").read_text())
    return {one["metric"]: one for one in told["findings"]}


def test_a_commit_against_itself_is_no_regression(gate: Bench, tmp_path: Path) -> None:
    done = gate("--against", "before")
    folder = only_folder(tmp_path)
    # a host that is busy with other things may leave too few valid pairs, or too little certainty
    assert done.returncode in (0, 4, 5), done.stdout + done.stderr
    found = json.loads((folder / "run.json").read_text())
    assert list(found["strategies"]) == ["fast@base", "fast"]
    assert found["environment"]["settings"]["side_by_side"]["base"] == "before"
    rounds = {
        name: {t["round"] for t in found["trials"] if t["strategy"] == name} for name in found["strategies"]
    }
    assert rounds["fast"] == rounds["fast@base"] >= {1, 2, 3}
    # base and head are driven in the same seconds
    for first, second in zip(found["trials"][::2], found["trials"][1::2], strict=True):
        assert (first["strategy"], second["strategy"]) == ("fast@base", "fast")
        assert (
            (first["warmup_s"], first["window_s"]) == (second["warmup_s"], second["window_s"]) == (0.5, 1.0)
        )
    assert json.loads((folder / "gate.json").read_text())["base"].startswith("before (")
    assert not (folder / "confirmation").exists()
    again = gate("--again", folder)
    assert again.returncode == done.returncode
    assert done.stdout.startswith(again.stdout), "the same judgement, and then the files that were written"


# the rule by figures that no machine can change: tests/gate/test_judge.py
@pytest.mark.alone
def test_a_slower_head_is_a_regression_once_a_second_batch_agrees(
    gate: Bench, repository: Path, tmp_path: Path
) -> None:
    # so much slower that no other work of the machine makes it inconclusive
    change(repository, 'STUB_DELAY_S: "0.005"', 'STUB_DELAY_S: "0.040"')
    done = gate("--against", "before")
    folder = only_folder(tmp_path)
    # a busy machine may void rounds of either batch, and what has fewer than three is invalid, never a pass
    judged = valid_rounds(folder) >= 3 and valid_rounds(folder / "confirmation") >= 3
    code, verdict = (3, "regression") if judged else (4, "invalid")
    assert done.returncode == code, done.stdout + done.stderr
    assert findings(folder)["throughput"]["verdict"] == verdict
    assert not judged or "second batch" in done.stderr
    assert verdict in done.stdout
    again = gate("--again", folder, "--format", "markdown")
    assert again.returncode == code
    assert again.stdout.startswith("#")


def valid_rounds(folder: Path) -> int:
    """In how many rounds of a batch the trials of both sides are valid; 0 without a batch."""
    if not (folder / "run.json").is_file():
        return 0
    trials = json.loads((folder / "run.json").read_text())["trials"]
    valid = [trial["round"] for trial in trials if trial["valid"]]
    return sum(valid.count(number) == 2 for number in set(valid))


def test_one_wrong_answer_in_a_thousand_is_caught(gate: Bench, repository: Path, tmp_path: Path) -> None:
    """All copies of head count their answers together; every thousandth of them is wrong."""
    change(repository, 'STUB_DELAY_S: "0.005"', 'STUB_DELAY_S: "0.0"')
    git(repository, "commit", "--quiet", "--all", "--message", "Without a delay")
    git(repository, "tag", "--force", "before")
    change(repository, 'STUB_DELAY_S: "0.0"', 'STUB_DELAY_S: "0.0"\n      STUB_WRONG_EVERY: "1000"')
    change(repository, "            served += 1\n            number = served\n", COUNTED, "stub_strategy.py")
    done = gate("--against", "before", "--window-s", "2")
    found = findings(only_folder(tmp_path))["wrong_answers"]
    assert done.returncode == 3, done.stdout + done.stderr
    assert found["verdict"] == "regression"
    assert found["head"] >= 1
    assert found["base"] == 0


def test_an_unknown_commit_is_one_line(gate: Bench) -> None:
    done = gate("--against", "no-such-branch")
    assert done.returncode == 2
    assert "git knows no commit no-such-branch" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_strategy_that_base_lacks_is_named_and_not_judged(
    bench: Bench, repository: Path, tmp_path: Path
) -> None:
    change(repository, "bench.strategy: fast", "bench.strategy: other")
    change(repository, '"fast"', '"other"', "gate.toml")
    places = ("--root", repository, "--results", tmp_path / "results", "--runtime", "process")
    done = bench("gate", *places, "--against", "before")
    assert done.returncode == 4
    assert "before has none of these strategies" in done.stderr


def test_different_images_are_not_compared(gate: Bench, repository: Path) -> None:
    manifest = json.loads((repository / "images" / "manifest.json").read_text())
    (small,) = [one for one in manifest["images"] if one["file"] == "small_0.jpg"]
    (repository / "images" / small["file"]).write_bytes(b"another picture")
    done = gate("--against", "before")
    assert done.returncode == 4
    assert "different requests of class small" in done.stderr


def test_a_folder_that_is_no_gates_is_refused(gate: Bench, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = gate("--again", tmp_path / "empty")
    assert done.returncode == 2
    assert "no run.json in empty/" in done.stderr


def test_a_baseline_of_other_settings_is_refused_with_what_differs(
    bench: Bench, gate: Bench, repository: Path, tmp_path: Path
) -> None:
    short = ("--quick", "--warmup-s", "0.3", "--window-s", "1", "--startups", "0", "--loop-seconds", "0")
    measure = ("--runtime", "process", "--payloads", "small", "--concurrency", "4", *ONLY_FAST, *short)
    bench("run", "--root", repository, "--results", tmp_path / "base", *measure)
    (base,) = (tmp_path / "base").iterdir()
    text = json.loads((base / "run.json").read_text())
    text["environment"]["cpu_model"] = "Another CPU"
    (base / "run.json").write_text(json.dumps(text))
    done = gate("--baseline", base)
    assert done.returncode == 4
    assert "cpu_model Another CPU, here " in done.stderr
    assert "--against" in done.stderr
    limits = gate("--baseline", base, "--deterministic")
    assert limits.returncode == 0, limits.stdout + limits.stderr


def test_the_project_need_not_be_the_repository_s_top(bench: Bench, project: Path, tmp_path: Path) -> None:
    (project / "gate.toml").write_text(RULES)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "project")
    git(tmp_path, "commit", "--quiet", "--message", "As it was")
    done = bench(
        *("gate", "--root", project, "--against", "HEAD", "--results", tmp_path / "results"),
        *("--runtime", "process", "--rounds", "1", "--deterministic", *ONLY_FAST),
    )
    assert done.returncode == 0, done.stderr
    assert findings(only_folder(tmp_path))["wrong_answers"]["verdict"] == "pass"
