"""docs/tasks: each page typed as it stands, in an empty folder or in a checkout."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.task_pages import Command, blocks, commands
from tests.running.checkouts import copy_checkout
from tests.running.exit_codes import code_of
from tests.running.ports import free_port
from tests.running.processes import ROOT

# a page that begins in an empty folder -> the strategies that it measures
IN_AN_EMPTY_FOLDER = {
    "pytorch": {"torch", "onnx", "batched"},
    "onnx": {"onnx"},
    "sklearn": {"onnx"},
    "url": {"mine"},
}
# what shortens a run for a test, and lets it be when other tests run
SHORT = "--warmup-s 0.3 --window-s 1 --startups 0 --loop-seconds 0 --max-other-cpu 100%"
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
# no package index: what a page installs is there
NO_INDEX = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}
SOMEBODY = {
    f"GIT_{who}_{what}": "nobody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
STRATEGY_PORTS = ("TORCH_PORT", "ONNX_PORT", "BATCHED_PORT", "UNBATCHED_PORT")


def script(typed: list[Command], ports: dict[str, str]) -> str:
    """The commands for `sh -e`; what the machine spoils in a run is judged from its run.json."""
    lines = []
    for command in typed:
        line = command.line
        for documented, port in ports.items():
            line = line.replace(documented, port)
        if command.words()[:2] == ["bench", "run"]:
            line += f" {SHORT} || echo $? >>codes"
        content = command.content
        for documented, port in ports.items():
            content = content.replace(documented, port)
        lines.append(f"{line}\n{content}")
    return "".join(lines)


def type_in(folder: Path, text: str, programs: Path, **more: str) -> str:
    """Have a shell run the text in the folder; return what it prints. What it leaves behind is ended."""
    ports = {port: str(free_port()) for port in STRATEGY_PORTS}
    environment = {**os.environ, **ports, **more, "PATH": f"{programs}:{os.environ['PATH']}"}
    printed = folder.with_name("printed")
    with printed.open("wb") as file:
        shell = subprocess.Popen(
            ["sh", "-ec", text], cwd=folder, env=environment, stdout=file, stderr=file, start_new_session=True
        )
        try:
            code = shell.wait(timeout=1000)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    told = printed.read_text(encoding="utf-8")
    assert code == 0, told[-5000:]
    return told


def shows(name: str, told: str) -> None:
    """What the page says is printed was printed."""
    for line in "".join(blocks(name, "text")).splitlines():
        assert line in told, f"{line}\n{told[-3000:]}"


def judged(folder: Path, strategies: set[str]) -> list[dict[str, Any]]:
    """The runs in the folder: these strategies answered rightly, and the exit codes were the right ones."""
    files = sorted(folder.glob("**/results/*/run.json"), key=lambda file: file.stat().st_mtime)
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    wrote = folder / "codes"
    codes = wrote.read_text().split() if wrote.exists() else []
    assert codes == [str(code_of(run)) for run in runs if code_of(run)]
    for run in runs:
        assert {trial["strategy"] for trial in run["trials"]} == strategies
        for trial in run["trials"]:
            assert (trial["error"], trial["wrong_answers"], trial["ok"] > 0) == (None, 0, True)
    return runs


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_checkout(tmp_path / "checkout")


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", IN_AN_EMPTY_FOLDER)
def test_a_page_leads_from_an_empty_folder_to_a_report(name: str, installed: Path, empty: Path) -> None:
    text = script(commands(name), {"9000": str(free_port())})
    shows(name, type_in(empty, text, installed, **NO_ENGINE, **NO_INDEX))
    (_,) = judged(empty, IN_AN_EMPTY_FOLDER[name])


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_a_repository_is_guarded_from_an_empty_folder_on(installed: Path, empty: Path) -> None:
    """Without an engine nothing is known of the image's size, which the page says."""
    *before, gate = commands("guard")
    assert gate.words()[:2] == ["bench", "gate"]
    text = script(before, {}) + f"{gate.line} --max-other-cpu 100% || echo $? >codes\n"
    shows("guard", type_in(empty, text, installed, **NO_ENGINE, **NO_INDEX, **SOMEBODY))
    assert (empty / "codes").read_text().split() == ["4"]
    (found,) = empty.glob("repository/results/*/gate.json")
    findings = json.loads(found.read_text(encoding="utf-8"))["findings"]
    assert {one["metric"]: one["verdict"] for one in findings} == {
        "image_own_bytes": "invalid",
        "wrong_answers": "pass",
        "error_rate": "pass",
    }


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_the_page_about_settings_is_typed_in_a_checkout(checkout: Path) -> None:
    text = script(commands("settings"), {})
    shows("settings", type_in(checkout, text, Path(sys.executable).parent, **NO_ENGINE))
    (_,) = judged(checkout, {"onnx-threads-1", "onnx-threads-2"})


@pytest.mark.parametrize("name", ["reading", pytest.param("platforms", marks=pytest.mark.nightly)])
def test_a_page_that_only_reads_is_typed_here(name: str) -> None:
    """What it prints goes to nobody's files; `doctor` ends with 4 on a machine that would spoil a run."""
    for command in commands(name):
        words = command.words()
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode in ({0, 4} if words[1] == "doctor" else {0}), done.stderr
        assert done.stdout.strip()


@pytest.fixture
def go() -> None:
    if shutil.which("go") is None:
        pytest.skip("there is no Go compiler: https://go.dev/doc/install")


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("go", "package_index")
def test_servers_of_one_s_own_are_measured_where_they_run(checkout: Path) -> None:
    """LitServe is installed from the package index, and the Go program is built."""
    typed = [command for command in commands("own_server") if "--root" not in command.words()]
    litserve, go = str(free_port()), str(free_port())
    text = script(typed, {":8000/": f":{litserve}/", ":8001/": f":{go}/"})
    for program, port in {
        "made/own_server/litserve/bin/python ": litserve,
        "examples/own_server/go/server ": go,
    }.items():
        assert text.count(f"\n{program}") == 1
        text = text.replace(f"\n{program}", f"\nPORT={port} {program}")
    shows("own_server", type_in(checkout, text, Path(sys.executable).parent, **NO_ENGINE))
    (_,) = judged(checkout, {"litserve", "go"})


@pytest.mark.engine
@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("go")
def test_servers_of_one_s_own_are_started_in_containers(checkout: Path) -> None:
    """What is sent and what must come back is written without LitServe: by the server in Go."""
    build, make, record, run = (
        next(command for command in commands("own_server") if all(word in command.line for word in words))
        for words in (["go build"], ["from-files"], ["record"], ["--root"])
    )
    port = str(free_port())
    start = Command(f"PORT={port} examples/own_server/go/server & sleep 2")
    text = script([build, start, make, record], {":8000/": f":{port}/"}) + "kill $!\n" + script([run], {})
    ports = {"LITSERVE_PORT": str(free_port()), "GO_PORT": str(free_port())}
    type_in(checkout, text, Path(sys.executable).parent, **ports)
    (found,) = judged(checkout, {"litserve", "go"})
    assert found["runtime"] == "compose"
