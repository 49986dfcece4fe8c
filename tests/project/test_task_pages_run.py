"""docs/tasks: the pages that begin in an empty folder, typed as they stand, with the installed programs."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.task_pages import Command, blocks, commands
from tests.running.exit_codes import code_of
from tests.running.ports import free_port

# a page -> the strategies that it measures
PAGES = {"pytorch": {"torch", "onnx", "batched"}, "onnx": {"onnx"}, "sklearn": {"onnx"}, "url": {"mine"}}
# what shortens a run for a test, and lets it be when other tests run
SHORT = "--warmup-s 0.3 --window-s 1 --startups 0 --loop-seconds 0 --max-other-cpu 100%"
# no package index and no engine: what is served are local processes
ALONE = {
    "DOCKER_HOST": "unix:///nowhere/docker.sock",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INDEX": "1",
}
PORTS = ("TORCH_PORT", "ONNX_PORT", "BATCHED_PORT")


def script(typed: list[Command], port: int) -> str:
    """The page's commands for `sh -e`; what the machine spoils in a run is judged from its run.json."""
    lines = []
    for command in typed:
        text = command.typed.replace("9000", str(port))
        if command.words()[:2] == ["bench", "run"]:
            text = f"{command.line.replace('9000', str(port))} {SHORT} || echo $? >>codes\n"
        lines.append(text)
    return "".join(lines)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_leads_from_an_empty_folder_to_a_report(name: str, installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    typed = commands(name)
    ports = {port: str(free_port()) for port in PORTS}
    path = f"{installed}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", script(typed, free_port())],
        cwd=folder,
        env={**os.environ, **ALONE, **ports, "PATH": path},
        capture_output=True,
        text=True,
        timeout=1000,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    told = done.stdout + done.stderr
    for line in "".join(blocks(name, "text")).splitlines():
        assert line in told, f"{line}\n{told[-3000:]}"
    (file,) = folder.glob("**/results/*/run.json")
    found = json.loads(file.read_text(encoding="utf-8"))
    codes = (folder / "codes").read_text().split() if (folder / "codes").exists() else []
    assert codes == ([str(code_of(found))] if code_of(found) else [])
    assert {trial["strategy"] for trial in found["trials"]} == PAGES[name]
    for trial in found["trials"]:
        assert (trial["error"], trial["wrong_answers"], trial["ok"] > 0) == (None, 0, True)
