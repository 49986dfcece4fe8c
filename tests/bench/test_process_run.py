"""`bench run` from end to end with local processes: folder, figures, faults and interruption."""

import getpass
import json
import platform
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.analysis.summary import summarise
from bench.model import SCHEMA_VERSION
from bench.report.choice_sentence import choice_sentence
from bench.run_file import read_run
from tests.running.exit_codes import code_of

pytestmark = pytest.mark.slow

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
SHORT = (
    "--max-other-cpu",
    "100%",
    "--concurrency",
    "4",
    "--quick",
    "--warmup-s",
    "0.3",
    "--window-s",
    "1",
    "--startups",
    "0",
)
PROCESS = ("--runtime", "process", *SHORT, "--loop-seconds", "0.2")


def only_folder(results: Path) -> Path:
    folders = list(results.iterdir())
    assert len(folders) == 1
    return folders[0]


def run_json(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "run.json").read_text()))


def change(project: Path, old: str, new: str) -> None:
    text = (project / "compose.yaml").read_text()
    assert old in text
    (project / "compose.yaml").write_text(text.replace(old, new))


def test_a_run_ends_with_a_folder_that_holds_everything(bench: Bench, project: Path, tmp_path: Path) -> None:
    done = bench("run", "--root", project, "--results", tmp_path / "results", *PROCESS)
    folder = only_folder(tmp_path / "results")
    assert re.fullmatch(r"\d{8}T\d{6}Z(-[0-9a-f]{7,}(-dirty)?)?", folder.name)
    found = run_json(folder)
    assert done.returncode == code_of(found), done.stderr
    assert (found["schema_version"], found["runtime"], found["quick"]) == (SCHEMA_VERSION, "process", True)
    assert len(found["trials"]) == found["planned_trials"] == 4
    for trial in found["trials"]:
        assert trial["error"] is None
        assert trial["wrong_answers"] == 0
        assert trial["ok"] > 0
        # throughput counts what ended in the window, `ok` what was sent in it: each client has one in flight
        answered = trial["throughput_rps"] * trial["window_s"]
        assert abs(answered - trial["ok"]) <= trial["load"]["clients"]
        assert trial["cpu_ms_per_request"] > 0
        assert trial["peak_memory_bytes"] > 1_000_000
        assert trial["load"]["kind"] == "closed"
        assert trial["load"]["clients"] == 4
    for name in ("fast", "slow"):
        strategy = found["strategies"][name]
        assert strategy["image"] is None
        startup = strategy["startup"]
        # parity's start and one of each trial
        assert len(startup["first_correct_answer_s"]) == 3
        for running, port_open, ready, first in zip(
            *(startup["phases"][phase] for phase in ("running_s", "port_open_s", "ready_s")),
            startup["first_correct_answer_s"],
            strict=True,
        ):
            assert 0 <= running <= port_open <= ready <= first
        assert {loop["payload_class"] for loop in strategy["loops"]} == {"seed", "small"}
    assert any("image size is not measurable" in one["text"] for one in found["doubts"])
    assert any("proves nothing" in one["text"] for one in found["doubts"])
    check_privacy(folder, project, tmp_path)
    check_samples(folder, found)
    assert str(folder / "report.md") in done.stdout
    last = " ".join(" ".join(done.stdout.splitlines()[-12:]).split())
    assert choice_sentence(read_run(folder), summarise(read_run(folder))) in last
    assert (folder / "report.md").is_file()
    assert list(folder.rglob("*.png"))
    assert "runtime: process" in done.stderr
    check_report_again(bench, folder)


def check_report_again(bench: Bench, folder: Path) -> None:
    """The report follows from the folder alone."""
    before = (folder / "report.md").read_text()
    (folder / "report.md").unlink()
    again = bench("report", folder)
    assert again.returncode == 0, again.stderr
    assert (folder / "report.md").read_text() == before


def check_privacy(folder: Path, project: Path, tmp_path: Path) -> None:
    """Nothing in run.json names a folder, the host or the user."""
    text = (folder / "run.json").read_text()
    for secret in (str(project), str(tmp_path), str(Path.home()), sys.prefix, str(Path.cwd())):
        assert secret not in text
    words = set(re.findall(r"[\w.-]+", text))
    assert not {platform.node(), socket.gethostname()} & words
    if getpass.getuser() != "root":
        assert getpass.getuser() not in words


def check_samples(folder: Path, found: dict[str, Any]) -> None:
    """All samples read at once, and the trials' figures follow from them."""
    table = pd.read_parquet(folder / "samples")
    for trial in found["trials"]:
        mine = table[(table.strategy == trial["strategy"]) & (table.payload_class == trial["payload_class"])]
        begin, length = (round(trial[name] * 1e9) for name in ("warmup_s", "window_s"))
        inside = mine[(mine.due_ns >= begin) & (mine.due_ns < begin + length)]
        assert int((inside.outcome == "ok").sum()) == trial["ok"]
        assert (folder / trial["samples"]).is_file()


def test_wrong_answers_stop_the_run_before_anything_is_timed(
    bench: Bench, project: Path, tmp_path: Path
) -> None:
    change(project, 'STUB_DELAY_S: "0.02"', 'STUB_WRONG_EVERY: "3"')
    done = bench("run", "--root", project, "--results", tmp_path / "results", *PROCESS)
    assert done.returncode == 4
    assert re.search(
        r"bench: nothing was timed, slow gives wrong answers: slow on \w+\.jpg as json", done.stderr
    )
    assert run_json(only_folder(tmp_path / "results"))["trials"] == []


def test_a_strategy_that_ends_while_its_answers_are_checked_gave_no_wrong_ones(
    bench: Bench, project: Path, tmp_path: Path
) -> None:
    change(project, 'STUB_DELAY_S: "0.02"', 'STUB_DIE_AFTER: "3"')
    done = bench("run", "--root", project, "--results", tmp_path / "results", *PROCESS)
    assert done.returncode == 4
    told = "bench: nothing was timed: while slow's answers were checked, the process exited with 7: see the"
    assert told in done.stderr
    assert "wrong answers" not in done.stderr


def test_a_strategy_that_does_not_start_names_its_last_line(
    bench: Bench, project: Path, tmp_path: Path
) -> None:
    change(
        project,
        'command: ["python", "stub_strategy.py"]',
        'command: ["python", "-c", "raise SystemExit(\'no model\')"]',
    )
    done = bench("run", "--root", project, "--results", tmp_path / "results", *PROCESS)
    assert done.returncode == 4
    assert "fast never reached port_open: the process exited with 1; its last line: no model" in done.stderr


def test_a_program_that_only_an_image_has_is_named_with_what_runs_it(
    bench: Bench, project: Path, tmp_path: Path
) -> None:
    change(project, 'command: ["python", "stub_strategy.py"]', 'command: ["/only_there"]')
    done = bench("run", *PROCESS, "--root", project, "--results", tmp_path / "results")
    assert done.returncode != 0
    assert "/only_there is a program of its image, and not here: use --runtime compose" in done.stderr


def test_a_strategy_that_dies_under_load_costs_its_trial_and_not_the_run(
    bench: Bench, project: Path, tmp_path: Path
) -> None:
    change(project, 'STUB_DELAY_S: "0.02"', 'STUB_DIE_AFTER: "60"')
    done = bench("run", "--root", project, "--results", tmp_path / "results", *PROCESS, "--payloads", "small")
    found = run_json(only_folder(tmp_path / "results"))
    assert done.returncode == 4, done.stderr
    trials = {trial["strategy"]: trial for trial in found["trials"]}
    if trials["fast"]["valid"]:
        line = "bench: asked for and not measured: slow small, json, 4 clients (its only trial is void: "
        assert line in done.stderr
    assert not trials["slow"]["valid"]
    assert any("exited with 7" in one["text"] for one in trials["slow"]["doubts"])
    assert trials["slow"]["cpu_ms_per_request"] is None
    assert trials["fast"]["error"] is None
    assert trials["fast"]["ok"] > 0


def test_a_run_without_one_valid_trial_ends_with_code_4(bench: Bench, project: Path, tmp_path: Path) -> None:
    change(project, 'STUB_DELAY_S: "0.02"', 'STUB_DIE_AFTER: "60"')
    options = (*PROCESS[:-1], "0", "--payloads", "small", "--strategies", "slow")
    done = bench("run", "--root", project, "--results", tmp_path / "results", *options)
    assert done.returncode == 4
    assert "bench: no trial of this run may be believed" in done.stderr
    assert (only_folder(tmp_path / "results") / "report.md").is_file()


def test_a_busy_port_names_port_and_variable(bench: Bench, project: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = bench("run", "--root", project, "--results", tmp_path, *PROCESS, SLOW_PORT=port)
    assert done.returncode == 1
    assert f"bench: port {port}, which slow-service needs, is busy" in done.stderr
    assert "SLOW_PORT=" in done.stderr


def test_an_interrupted_run_keeps_its_trials_and_leaves_nothing_running(
    project: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "bench", "run", "--root", project, "--results", tmp_path / "results"]
    process = subprocess.Popen(
        [*command, *PROCESS[:-1], "0", "--rounds", "50"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if "requests/s, p99" in line:
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, "".join(told) + err
    assert "bench: interrupted" in err
    assert "Traceback" not in err
    folder = only_folder(tmp_path / "results")
    found = run_json(folder)
    assert 1 <= len(found["trials"]) < 200
    cut = [trial for trial in found["trials"] if (trial["error"] or {}).get("code") == "interrupted"]
    assert len(cut) <= 1, "a signal between two trials cuts none"
    for trial in cut:
        assert (trial["valid"], trial["throughput_rps"]) == (False, None)
        assert (folder / trial["samples"]).is_file()
    missing = 200 - len(found["trials"])
    assert any(f"interrupted: {missing} of 200 trials are missing" in one["text"] for one in found["doubts"])
    assert "report.md" in out
    ports = re.findall(r"_PORT:-(\d+)", (project / "compose.yaml").read_text())
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0
