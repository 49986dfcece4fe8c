"""docs/handlers.md: its commands run as they stand, and its code is the code."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running.processes import ROOT, Running

PAGE = (ROOT / "docs/handlers.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
SERVE, VALIDATE = " python -m onnx_serving", " python -m onnx_serving validate"


def run(command: str, folder: Path) -> str:
    """Run one line in a shell whose python is this one; return what it writes."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def only(*, starts: str = "", ends: str = "") -> str:
    (found,) = [line for line in COMMANDS if line.startswith(starts) and line.endswith(ends)]
    return found


def test_every_command_is_one_that_is_run_here() -> None:
    ours = ("python -m examples.windchill.train", "curl ")
    assert [c for c in COMMANDS if not c.startswith(ours) and not c.endswith((SERVE, VALIDATE))] == []


def test_training_writes_the_folder_anew(tmp_path: Path) -> None:
    """In a copy, without the model."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("model"))
    run(only(starts="python -m examples.windchill.train"), tmp_path)
    model = Path("examples/windchill/model/coefficients.json")
    assert (tmp_path / model).read_bytes() == (ROOT / model).read_bytes()


def test_the_service_starts_and_answers_as_documented(launch: Callable[..., Running]) -> None:
    settings = only(ends=SERVE).removesuffix(SERVE).replace("$PWD", str(ROOT)).split()
    service = launch("onnx", **dict(setting.split("=", 1) for setting in settings))
    service.wait_until_ready()
    asked = [command for command in COMMANDS if command.startswith("curl ")]
    answers = [
        json.loads(run(command.replace("http://127.0.0.1:8080", service.url), ROOT)) for command in asked
    ]
    felt = pytest.approx(-19.5, abs=0.25)
    assert answers[0] == {"felt": felt}
    assert answers[1][0] == {"felt": felt}
    assert answers[1][1].keys() == {"error"}
    assert answers[2]["outputs"][0]["data"] == [felt]


def test_validate_finds_the_example_good() -> None:
    told = run(only(ends=VALIDATE), ROOT).splitlines()
    assert len(told) == 8
    assert all(line.startswith("ok windchill: ") for line in told)


def test_the_code_shown_is_the_code() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown in (ROOT / "examples/unsure.py").read_text(encoding="utf-8")


def test_the_settings_for_several_models_are_read() -> None:
    from serving_core.settings import Settings, handler_names

    (pairs,) = re.findall(r"`HANDLER=(\S+=\S+)`", PAGE)
    settings = Settings(service="onnx", model_uri="file:///nowhere", handler=pairs)
    assert [*handler_names(settings)] == ["weather", "windchill"]
