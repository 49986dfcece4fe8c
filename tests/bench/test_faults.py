"""Faults of a run: each ends with one clear line and its exit code, and what was measured can be read."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.model import SCHEMA_VERSION
from bench.run_file import READABLE_VERSIONS
from tests.bench.conftest import write_images
from tests.running.ports import free_port

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
BASE_IMAGE = "python:3.11-slim-bookworm"
SHORT = (
    "--max-other-cpu",
    "100%",
    "--concurrency",
    "4",
    "--quick",
    "--warmup-s",
    "0.3",
    "--warmup-most-s",
    "0.6",
    "--window-s",
    "1",
)
ONLY_TRIALS = (*SHORT, "--startups", "0", "--loop-seconds", "0", "--payloads", "small")
PROCESS = ("--runtime", "process", *ONLY_TRIALS)
LONG = (*PROCESS, "--strategies", "fast", "--rounds", "50")
# fault -> after how many requests it sets in: parity makes fewer, a trial more
FAULTS = {"die": 60, "hang": 60, "wrong": 40, "leak": 60, "none": 10**9}
FAULTY = """
  {fault}-service:
    image: {image}
    command: ["python", "faulty_strategy.py"]
    environment: {{PORT: "8080", STUB_DELAY_S: "0.005", FAULT: {fault}, FAULT_AFTER: "{after}"}}
    ports: ["127.0.0.1:{port}:8080"]
    mem_limit: 96m
    memswap_limit: 96m
    tmpfs: [/tmp]
    stop_grace_period: 1s
    labels:
      bench.strategy: {fault}
      bench.title: The {fault} stub
      bench.port: "8080"
      bench.path: /predict/
      bench.ready: /ready
      bench.payloads: json
"""


def start(root: Path, results: Path, *options: str) -> "subprocess.Popen[str]":
    """`bench run` as a shell starts it: in a process group of its own, which Ctrl-C signals whole."""
    command = [sys.executable, "-m", "bench", "run", "--root", str(root), "--results", str(results), *options]
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until_a_trial_ended(process: "subprocess.Popen[str]") -> str:
    """Read what the run tells until it has told of a trial."""
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
        told += line
        if "requests/s, p99" in line:
            return told
    raise AssertionError(f"no trial ended: {told}")


def the_one_line(told: str) -> str:
    """What the run says at its end: one line, and no traceback."""
    lines = [line for line in told.splitlines() if line.startswith("bench: ")]
    assert len(lines) == 1, told
    assert "Traceback" not in told
    return lines[0]


def only_folder(results: Path) -> Path:
    (folder,) = (path for path in results.iterdir() if path.is_dir())
    return folder


def run_json(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "run.json").read_text()))


def can_be_read(bench: Bench, folder: Path) -> str:
    """The report can be made from the folder alone, and all samples that were kept be read; the report."""
    done = bench("report", folder)
    assert done.returncode == 0, done.stderr
    for trial in run_json(folder)["trials"]:
        if trial["samples"]:
            assert len(pd.read_parquet(folder / trial["samples"])) > 0
    told = {trial["samples"] for trial in run_json(folder)["trials"]}
    assert {f"samples/{file.name}" for file in (folder / "samples").iterdir()} == told - {None}
    return (folder / "report.md").read_text()


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that ended: its folder, what it told on stderr, and its exit code."""

    folder: Path
    told: str
    code: int

    def trial(self, strategy: str) -> dict[str, Any]:
        (trial,) = (one for one in run_json(self.folder)["trials"] if one["strategy"] == strategy)
        return dict(trial)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose strategies have a fault each, but for the one named none."""
    root = tmp_path_factory.mktemp("faults")
    for name in ("stub_strategy.py", "faulty_strategy.py"):
        shutil.copy(HERE / name, root)
    write_images(root / "images")
    image = f"bench-test-faults-{os.getpid()}"
    (root / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nWORKDIR /app\nCOPY *.py .\n")
    stanzas = [
        FAULTY.format(fault=fault, after=after, image=image, port=free_port())
        for fault, after in FAULTS.items()
    ]
    (root / "compose.yaml").write_text(f"name: {image}\nservices:{''.join(stanzas)}")
    return root


@pytest.fixture(scope="module")
def hanging(faulty: Path) -> Iterator["subprocess.Popen[str]"]:
    """A run of the one that hangs, as a process, begun early: it mostly waits, and others can work."""
    process = start(faulty, faulty / "hanging", *PROCESS, "--strategies", "hang", "--timeout-s", "8")
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def faults(faulty: Path, hanging: object) -> Iterator[Ended]:
    """One run of containers of which each but one has a fault."""
    del hanging  # runs meanwhile
    image = image_of(faulty)
    build = ["docker", "build", "--quiet", "--tag", image, "."]
    subprocess.run(build, cwd=faulty, check=True, capture_output=True)
    names = ",".join(sorted(FAULTS.keys() - {"hang"}))
    options = ("--runtime", "compose", "--no-build", "--strategies", names)
    process = start(faulty, faulty / "results", *options, *ONLY_TRIALS)
    try:
        _, told = process.communicate(timeout=180)
        yield Ended(only_folder(faulty / "results"), told, process.returncode)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        for command in (("compose", "down", "--timeout", "1"), ("rmi", "--force", image)):
            subprocess.run(["docker", *command], cwd=faulty, check=True, capture_output=True)


def image_of(root: Path) -> str:
    """The image's and the project's name, from compose.yaml."""
    return (root / "compose.yaml").read_text().split()[1]


@pytest.mark.engine
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("die", r"the container exited with 7"),
        ("wrong", r"\d+ wrong answers of \d+ requests"),
        ("leak", r"ran out of memory and was killed"),
    ],
)
def test_a_container_s_fault_voids_its_trial_says_why_and_keeps_its_samples(
    faults: Ended, fault: str, reason: str
) -> None:
    trial = faults.trial(fault)
    assert (trial["valid"], trial["error"]) == (False, None)
    assert [one for one in trial["doubts"] if re.search(reason, one["text"])], trial["doubts"]
    assert re.search(rf"trial {fault} small: .* INVALID", faults.told), faults.told
    samples = pd.read_parquet(faults.folder / trial["samples"])
    # what was right before the fault set in is kept, and what was not is no success
    assert {"ok"} < set(samples.outcome)


@pytest.mark.engine
def test_one_wrong_answer_in_forty_is_counted(faults: Ended) -> None:
    trial = faults.trial("wrong")
    outcomes = pd.read_parquet(faults.folder / trial["samples"]).outcome.value_counts()
    # the start asks too, before the trial counts: a fortieth of 40 to 79 requests may be one or two
    assert outcomes["wrong_answer"] == pytest.approx(outcomes.sum() / 40, abs=1.1)
    assert trial["wrong_answers"] + trial["wrong_answers_outside"] == outcomes["wrong_answer"]
    assert trial["errors"] == 0


@pytest.mark.engine
def test_the_faults_of_some_cost_the_others_nothing(faults: Ended, faulty: Path, bench: Bench) -> None:
    healthy = faults.trial("none")
    assert (healthy["errors"], healthy["wrong_answers"], healthy["error"]) == (0, 0, None)
    assert healthy["ok"] > 0
    # the others were asked for too, and nothing of them is measured
    assert faults.code == 4, faults.told
    assert "Traceback" not in faults.told
    if healthy["valid"]:  # a busy machine may spoil a window as short as a test's
        assert "asked for and not measured: die small, json, 4 clients" in the_one_line(faults.told)
    report = can_be_read(bench, faults.folder)
    for words in ("exited with 7", "ran out of memory", "wrong answers", "failed requests"):
        assert words in report
    label = f"label=com.docker.compose.project={image_of(faulty)}"
    left = ["docker", "ps", "--all", "--quiet", "--filter", label]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""


def test_ctrl_c_reaches_the_whole_group_and_what_was_measured_can_be_read(
    bench: Bench, project: Path, tmp_path: Path
) -> None:
    process = start(project, tmp_path / "results", *LONG)
    told = until_a_trial_ended(process)
    time.sleep(0.7)
    os.killpg(process.pid, signal.SIGINT)
    out, rest = process.communicate(timeout=120)
    assert process.returncode == 1, told + rest
    assert the_one_line(rest).startswith("bench: interrupted: what was measured until now is kept")
    assert "report.md" in out
    folder = only_folder(tmp_path / "results")
    report = can_be_read(bench, folder)
    trials = run_json(folder)["trials"]
    assert 1 <= len(trials) < 50
    assert trials[0]["throughput_rps"] > 0
    assert f"interrupted: {50 - len(trials)} of 50 trials are missing" in report


def test_a_service_that_hangs_is_waited_for_no_longer_than_a_request_may_take(
    hanging: "subprocess.Popen[str]", faulty: Path, bench: Bench
) -> None:
    _, told = hanging.communicate(timeout=120)
    assert hanging.returncode == 4, told
    assert the_one_line(told).startswith("bench: no trial of this run may be believed")
    folder = only_folder(faulty / "hanging")
    (trial,) = run_json(folder)["trials"]
    assert (trial["valid"], trial["error"]) == (False, None)
    samples = pd.read_parquet(folder / trial["samples"])
    lost = samples[samples.outcome != "ok"]
    assert set(lost.outcome) <= {"timeout", "unfinished"}
    lost_anywhere = trial["errors"] + trial["errors_outside"]
    assert len(lost) == lost_anywhere == 4, "each client has one request in flight"
    assert len(samples) > len(lost)
    assert "without an answer in time" in can_be_read(bench, folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take all that is free, and return the file that did."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    assert shutil.disk_usage(disk).free == 0
    return ballast


def test_a_disk_that_fills_up_ends_the_run_with_one_line_and_finished_trials_are_kept(
    bench: Bench, project: Path, small_disk: Path
) -> None:
    process = start(project, small_disk / "results", *LONG)
    told = until_a_trial_ended(process)
    # it is told of a moment before it is kept
    while not run_json(only_folder(small_disk / "results"))["trials"]:
        time.sleep(0.01)
    ballast = fill(small_disk)
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 1, told + rest
    assert the_one_line(rest) == (
        "bench: the disk is full: free some space and run again; finished trials are kept"
    )
    folder = only_folder(small_disk / "results")
    trials = run_json(folder)["trials"]
    assert trials, "the trial that had ended is kept"
    ballast.unlink()
    can_be_read(bench, folder)


@pytest.mark.slow
def test_a_disk_that_is_full_from_the_start_ends_with_one_line(project: Path, small_disk: Path) -> None:
    fill(small_disk)
    process = start(project, small_disk / "results", *PROCESS)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1, told
    assert "the disk is full" in the_one_line(told)


REFERENCE = next(path for path in sorted((REPOSITORY / "results").iterdir()) if (path / "run.json").exists())


@pytest.mark.parametrize(
    ("verb", "version"), [("report", SCHEMA_VERSION + 1), ("report", None), ("run", 0), ("run", "2")]
)
def test_a_folder_of_another_schema_is_refused_and_left_as_it_is(
    bench: Bench, tmp_path: Path, verb: str, version: object
) -> None:
    assert version not in READABLE_VERSIONS
    folder = tmp_path / "run"
    folder.mkdir()
    raw = {**run_json(REFERENCE), "schema_version": version, "of_the_future": {"a": 1}}
    (folder / "run.json").write_text(json.dumps(raw))
    before = (folder / "run.json").read_bytes()
    done = bench(*(("report", folder) if verb == "report" else ("run", "--resume", folder)))
    assert done.returncode == 2, done.stderr
    assert the_one_line(done.stderr) == (
        f"bench: run/run.json has schema {version}, this version reads {SCHEMA_VERSION}: "
        "read it with the version that wrote it"
    )
    assert [path.name for path in folder.iterdir()] == ["run.json"]
    assert (folder / "run.json").read_bytes() == before
