"""A run that was cut short goes on: nothing that was measured is lost or made twice."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.run_file import write_run
from bench.verbs import run
from bench.verbs.arguments import Places
from bench.verbs.going_on import command_to_go_on
from bench.verbs.parser import build_parser
from tests.gate.runs import EQUAL, run_of
from tests.running.doubts import doubt
from tests.running.exit_codes import code_of

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


def wait_for_trials(project: Path, count: int) -> None:
    deadline = time.monotonic() + 400
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


@pytest.mark.parametrize(("root", "build"), [(Path(), True), (Path("a project"), False)])
def test_the_command_that_goes_on_names_every_place_as_a_shell_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path, build: bool
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    cut = replace(run_of({"onnx": EQUAL}), doubts=(doubt("cut", "incomplete"),))
    for folder in (Path("results/it's here; rm -rf $HOME"), tmp_path / "-elsewhere", Path("-x")):
        folder.mkdir(parents=True, exist_ok=True)
        places = Places(root, Path("my images"), None, ("192.0.2.1", 5557))
        assert command_to_go_on(cut, folder, places, build=True) is None, "nothing is on disk"
        write_run(cut, folder)
        command = command_to_go_on(cut, folder, places, build=build)
        assert command is not None
        program, *words = shlex.split(command)
        assert Path(program).samefile(sys.executable)
        assert words[:2] == ["-m", "bench"]
        found = run.read(build_parser(["run"]).parse_args(words[2:]), words[2:])
        assert found.resume is not None
        assert found.resume.samefile(folder)
        assert found.measure.places == replace(places, root=root)
        assert found.measure.build == build
        complete = replace(cut, doubts=())
        assert command_to_go_on(complete, folder, places, build=True) is None


@pytest.mark.nightly
def test_what_the_last_line_says_goes_on_as_typed(project: Path, tmp_path: Path) -> None:
    """The results lie elsewhere, in a folder that a shell must have in quotes."""
    committed(project)
    results = tmp_path / "the results"
    words = [sys.executable, "-m", "bench", "run", "--root", project, "--results", results, *OPTIONS]
    first = subprocess.Popen(
        words, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert first.stderr is not None
    told = ""
    for line in first.stderr:
        told += line
        if "requests/s, p99" in line and told.count("requests/s, p99") == 1:
            first.send_signal(signal.SIGINT)
    first.stderr.close()
    first.wait(timeout=120)
    (command,) = [line.removeprefix("to go on: ") for line in told.splitlines() if "to go on: " in line]
    (folder,) = results.iterdir()
    before = json.loads((folder / "run.json").read_text())
    assert str(tmp_path) not in json.dumps(before), "no place of this machine is kept"
    assert any(one["code"] == "incomplete" for one in before["doubts"])
    done = subprocess.run(
        ["bash", "-c", command], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    after = json.loads((folder / "run.json").read_text())
    assert done.returncode == code_of(after), done.stderr
    assert len(after["trials"]) == after["planned_trials"] == 6
    assert "to go on: " not in done.stderr
