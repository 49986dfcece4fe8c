"""A run that was cut short goes on: nothing that was measured is lost or made twice."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
REPOSITORY = Path(__file__).parents[2]
OPTIONS = (
    *("--runtime", "process", "--quick", "--rounds", "3", "--concurrency", "4", "--payloads", "small"),
    *("--warmup-s", "0.3", "--warmup-most-s", "0.6", "--window-s", "1", "--startups", "5"),
    *("--warm-startups", "1", "--loop-seconds", "0.2", "--max-other-cpu", "100%"),
)


def committed(project: Path) -> Path:
    """The project as a clean checkout, which a run needs to be able to go on."""
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=x", "-c", "user.email=x@example.invalid", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *words], cwd=project, check=True)
    return project


def start(project: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench", "run", "--root", project, *OPTIONS],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def found(project: Path) -> dict[str, Any]:
    (folder,) = (project / "results").iterdir()
    told: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return told


def rewrite(folder: Path, **changes: object) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def code_of(run: dict[str, Any]) -> int:
    """The exit code that the trials call for: a busy machine may spoil a window as short as a test's."""
    return 0 if any(trial["valid"] for trial in run["trials"]) else 4


def wait_for_trials(project: Path, count: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        files = list((project / "results").glob("*/run.json"))
        if files and len(json.loads(files[0].read_text())["trials"]) >= count:
            return
        time.sleep(0.05)
    pytest.fail("the trials were not made in time")


def end_helpers(project: Path) -> None:
    """What a harness that is killed leaves running: the stub and its helper, by their folder."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").resolve() == project.resolve():
                os.kill(int(entry.name), signal.SIGKILL)


def test_a_run_whose_harness_was_killed_goes_on_where_it_was_cut(bench: Bench, project: Path) -> None:
    committed(project)
    first = start(project)
    wait_for_trials(project, 2)
    time.sleep(0.7)  # somewhere in the next trial
    first.kill()
    first.wait(timeout=120)
    end_helpers(project)
    (folder,) = (project / "results").iterdir()
    # what was asked for is kept as data: the command is for people
    rewrite(folder, command="python -m bench run --rounds 99")
    before = found(project)
    done = bench("run", "--root", project, "--resume", folder, "--no-build")
    after = found(project)
    assert done.returncode == code_of(after), done.stderr
    made = [(t["strategy"], t["round"], str(t["load"])) for t in after["trials"]]
    assert len(made) == len(set(made)) == after["planned_trials"] == 6
    kept = [t for t in before["trials"] if (t["error"] or {}).get("code") != "interrupted"]
    assert after["trials"][: len(kept)] == kept
    assert after["created"] == before["created"]
    assert after["command"] == before["command"]
    assert any(one["text"].startswith("resumed at ") for one in after["doubts"])
    assert not any(one["code"] == "incomplete" for one in after["doubts"])
    assert {t["samples"] for t in after["trials"]} == {f"samples/{p.name}" for p in folder.glob("samples/*")}
    for name, result in after["strategies"].items():
        assert len(result["startup"]["first_correct_answer_s"]) >= 5, name
        assert len(result["loops"][0]["requests_per_s"]) == 3, name


def test_a_complete_run_goes_on_to_its_report_alone_and_not_at_all_with_other_code(
    bench: Bench, project: Path
) -> None:
    committed(project)
    done = bench("run", "--root", project, *OPTIONS, "--rounds", "1")
    before = found(project)
    assert done.returncode == code_of(before), done.stderr
    (folder,) = (project / "results").iterdir()
    (folder / "report.md").unlink()
    # an older run keeps its command line alone
    rewrite(folder, options=None)
    done = bench("run", "--root", project, "--resume", folder)
    assert done.returncode == code_of(before), done.stderr
    assert found(project)["trials"] == before["trials"]
    assert found(project)["options"] == before["options"]
    assert (folder / "report.md").exists()
    kept = (folder / "run.json").read_bytes()
    (project / "stub_strategy.py").write_text("# another\n" + (project / "stub_strategy.py").read_text())
    done = bench("run", "--root", project, "--resume", folder)
    assert done.returncode == 2
    assert "files differ from the commit" in done.stderr
    assert (folder / "run.json").read_bytes() == kept
