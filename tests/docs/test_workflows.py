"""The workflows for users: least permissions, nothing of a pull request in a shell, commands that exist."""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.verbs.parser import build_parser

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {
    file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in FILES
}
JOBS = [(name, job) for name, flow in WORKFLOWS.items() for job in flow["jobs"]]
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)
VERDICT = ROOT / "tools" / "gate_verdict.sh"


def triggers(flow: dict[Any, Any]) -> dict[str, Any]:
    """`on`, which YAML 1.1 reads as true."""
    found: dict[str, Any] = flow[True]
    return found


def steps(name: str, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = WORKFLOWS[name]["jobs"][job]["steps"]
    return found


def scripts() -> Iterator[tuple[str, str]]:
    """Every shell script of every job, with where it is."""
    for name, job in JOBS:
        for step in steps(name, job):
            if "run" in step:
                yield f"{name}, {job}", step["run"]


def test_the_workflows_are_there() -> None:
    assert set(WORKFLOWS) == {"bench.yml", "comment.yml"}
    assert set(triggers(WORKFLOWS["bench.yml"])) == {"pull_request", "schedule", "workflow_dispatch"}
    assert set(triggers(WORKFLOWS["comment.yml"])) == {"workflow_run"}
    assert triggers(WORKFLOWS["comment.yml"])["workflow_run"]["workflows"] == [WORKFLOWS["bench.yml"]["name"]]


def test_only_the_commenting_job_may_write_and_only_to_pull_requests() -> None:
    assert WORKFLOWS["bench.yml"]["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in WORKFLOWS["bench.yml"]["jobs"].values())
    assert WORKFLOWS["comment.yml"]["permissions"] == {}
    (job,) = WORKFLOWS["comment.yml"]["jobs"].values()
    assert job["permissions"] == {"actions": "read", "contents": "read", "pull-requests": "write"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_fork_reaches_no_secret_and_no_shell(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "pull_request_target" not in text
    assert "secrets." not in text
    uses = [line.strip().removeprefix("- ") for line in text.splitlines() if "uses:" in line]
    assert uses
    assert not [line for line in uses if not PINNED.fullmatch(line)]


def test_no_expression_stands_in_a_script() -> None:
    found = list(scripts())
    assert found
    assert not [(where, script) for where, script in found if EXPRESSION.search(script)]


def test_what_may_write_checks_out_no_code_of_the_pull_request() -> None:
    (job,) = WORKFLOWS["comment.yml"]["jobs"]
    checkouts = [step for step in steps("comment.yml", job) if "actions/checkout" in step.get("uses", "")]
    assert [set(step["with"]) for step in checkouts] == [{"persist-credentials", "sparse-checkout"}]
    assert not [step for step in steps("comment.yml", job) if "artifact" in step.get("uses", "")]


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_ends_in_time_and_keeps_no_token_in_the_checkout(name: str, job: str) -> None:
    assert 0 < WORKFLOWS[name]["jobs"][job]["timeout-minutes"] <= 120
    checkouts = [step for step in steps(name, job) if "actions/checkout" in step.get("uses", "")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False]


def test_a_newer_push_ends_the_gate_of_an_older_one_and_a_label_does_not() -> None:
    group = WORKFLOWS["bench.yml"]["concurrency"]["group"]
    assert "github.event.pull_request.number" in group
    assert "github.event.label.name" in group
    assert WORKFLOWS["bench.yml"]["concurrency"]["cancel-in-progress"].strip("${} ") == (
        "github.event_name == 'pull_request'"
    )


def commands() -> list[str]:
    """Every command of bench in the scripts, in docs/ci.md, and what `make bench` is given."""
    texts = [script for _, script in scripts()]
    texts += re.findall(
        r"^```sh\n(.*?)^```", (ROOT / "docs" / "ci.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    joined = "\n".join(texts).replace("\\\n", " ")
    found = re.findall(r"-m bench ([^\n;|&>]*)", joined)
    given = re.findall(r'make bench BENCH_ARGS="([^"]*)"', joined)
    return sorted({*found, *(f"run --concurrency 50 {words}" for words in given)})


def test_the_commands_are_found() -> None:
    assert {words.split()[0] for words in commands()} >= {"gate", "report", "run"}


@pytest.mark.parametrize("command", commands())
def test_a_command_of_bench_is_one_that_it_takes(command: str) -> None:
    assert build_parser().parse_args(shlex.split(command)).verb == command.split()[0]


@pytest.mark.parametrize("where", ["scripts", "ci.md"])
def test_the_files_that_are_named_exist(where: str) -> None:
    texts = [script for _, script in scripts()]
    text = "\n".join(texts) if where == "scripts" else (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\btools/[\w.]+", text))
    assert named
    for file in named:
        assert (ROOT / file).is_file(), file
    for names in re.findall(r"locks/\{([\w,]+)\}\.txt", text):
        assert all((ROOT / "locks" / f"{name}.txt").is_file() for name in names.split(","))


@pytest.mark.parametrize(
    ("code", "ends", "says"),
    [
        ("0", 0, "notice"),
        ("1", 1, "error"),
        ("2", 2, "error"),
        ("3", 3, "error"),
        ("4", 4, "error"),
        ("5", 0, "warning"),
        ("137", 1, "error"),
        ("", 1, "error"),
    ],
)
@pytest.mark.parametrize("on_github", [True, False])
def test_a_verdict_ends_the_job_as_its_code_says(code: str, ends: int, says: str, on_github: bool) -> None:
    """The script that the workflow runs last, run."""
    environment = {"PATH": os.environ["PATH"], **({"GITHUB_ACTIONS": "true"} if on_github else {})}
    command = [str(VERDICT), code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == ends
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"::{says} title=bench gate::" if on_github else f"gate: {says}: ")


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5])
def test_the_gate_s_step_hands_its_code_on_and_never_fails_itself(code: int, tmp_path: Path) -> None:
    """The workflow's own script, in the shell that GitHub runs it in, with a program of that exit code."""
    (script,) = (step["run"] for step in steps("bench.yml", "gate") if step.get("id") == "gate")
    program = tmp_path / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '## Gate'\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    output = tmp_path / "output"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GITHUB_OUTPUT": str(output)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert output.read_text(encoding="utf-8") == f"code={code}\n"
    assert (tmp_path / "results" / "ci-comment" / "gate.md").read_text(encoding="utf-8") == "## Gate\n"


def test_wheels_are_fetched_for_what_a_lock_pins(tmp_path: Path) -> None:
    """One small package, from a folder of wheels that is made here, with PyTorch's index out of reach."""
    (tmp_path / "index").mkdir()
    with zipfile.ZipFile(tmp_path / "index" / "tiny_thing-1.0-py3-none-any.whl", "w") as wheel:
        info = "tiny_thing-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    lock = tmp_path / "lock.txt"
    lock.write_text("# made by a test\ntiny-thing==1.0\ntorch==99.0\n", encoding="utf-8")
    done = subprocess.run(
        [str(ROOT / "tools" / "wheels.sh"), str(tmp_path / "wheels"), str(lock)],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(tmp_path / "index"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "wheels: no torch==99.0" in done.stderr
    assert [file.name for file in (tmp_path / "wheels").iterdir()] == ["tiny_thing-1.0-py3-none-any.whl"]
