"""docs/examples: the commands of each page lead from a model's file to a report, as they stand."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.running.checkouts import copy_checkout
from tests.running.exit_codes import code_of
from tests.running.ports import free_port
from tests.running.processes import ROOT

FOLDER = ROOT / "docs/examples"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
MOST_COMMANDS = 5
# a page -> the strategies that serve its model
STRATEGIES = {
    "resnet": {"torch", "onnx", "batched"},
    "shapes": {"onnx"},
    "encoder": {"torch", "onnx", "batched"},
    "wine": {"onnx"},
    "towers": {"torch", "onnx", "batched"},
    "prices": {"torch", "onnx", "batched"},
    "mood": {"torch", "onnx", "batched"},
}
CHEAPEST = ("wine", pytest.param("towers", marks=pytest.mark.nightly))
# what shortens a run for a test, and lets it be when other tests run
SHORT = "--warmup-s 0.3 --window-s 2 --startups 0 --loop-seconds 0 --max-other-cpu 100%"
PORTS = ("TORCH_PORT", "ONNX_PORT", "BATCHED_PORT")
RECORD = "python -m bench requests record "


@dataclass(frozen=True, slots=True)
class Page:
    """What a page has people type: what makes the model's file, if anything does, and what follows."""

    maker: str | None
    commands: list[str]


def read(name: str) -> Page:
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    lines = [
        line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines() if line
    ]
    makers = [line for line in lines if ".make" in line]
    return Page(makers[0] if makers else None, [line for line in lines if line not in makers])


def test_there_is_a_page_for_each_example_and_a_line_in_the_table() -> None:
    assert {page.stem for page in FOLDER.glob("*.md")} == {*STRATEGIES, "README"}
    table = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+)\.md\)", table)) == set(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_page_takes_five_commands_at_most(name: str) -> None:
    page = read(name)
    assert 0 < len(page.commands) <= MOST_COMMANDS
    if page.maker is not None:
        assert page.maker == f"python -m examples.{name}.make"
    assert page.commands[-1].startswith("python -m bench run ")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout without its results, because a page's commands write into the folder."""
    return copy_checkout(tmp_path / "checkout")


def follow(name: str, checkout: Path, runtime: str, *, only: str | None = None) -> dict[str, Any]:
    """Type what the page says, only shorter, and return the run.json that comes of it."""
    page = read(name)
    environment = {
        **os.environ,
        **{port: str(free_port()) for port in PORTS},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    run = f"{SHORT} --results found" + (f" --strategies {only}" if only else "")
    for command in [*([page.maker] if page.maker else []), *page.commands]:
        if command.startswith("export "):
            environment |= dict(word.split("=", 1) for word in shlex.split(command)[1:])
            continue
        words = [command]
        if command.startswith(("python -m bench run ", "python -m bench requests make ", RECORD)):
            words.append(f"--runtime {runtime}")
        if command.startswith("python -m bench run "):
            words.append(run)
        done = subprocess.run(
            ["sh", "-c", " ".join(words)],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if not command.startswith("python -m bench run "):
            assert done.returncode == 0, f"{command}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    (folder,) = (checkout / "found").iterdir()
    found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert done.returncode == code_of(found), done.stderr[-3000:]
    assert "Every answer was checked: 0 wrong" in " ".join(done.stdout.split())
    assert (folder / "report.md").stat().st_size > 1000
    return found


def check(found: dict[str, Any], strategies: set[str]) -> None:
    """Each of these strategies served the model, and every answer was right."""
    assert {trial["strategy"] for trial in found["trials"]} == strategies
    for trial in found["trials"]:
        assert trial["error"] is None, trial["error"]
        assert (trial["wrong_answers"], trial["errors"]) == (0, 0)
        assert trial["ok"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAPEST)
def test_the_commands_of_a_page_lead_to_a_report(name: str, checkout: Path) -> None:
    """With local processes, which any machine has, and one strategy: of towers not the recorded one."""
    check(follow(name, checkout, "process", only="onnx"), {"onnx"})


@pytest.mark.engine
@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", STRATEGIES)
def test_the_commands_of_a_page_lead_to_a_report_in_containers(name: str, checkout: Path) -> None:
    found = follow(name, checkout, "compose")
    check(found, STRATEGIES[name])
    assert found["runtime"] == "compose"
