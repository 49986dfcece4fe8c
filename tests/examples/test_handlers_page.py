"""docs/handlers.md: its commands run as they stand, and its code is the code."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from serving_core.models.manifest import kind_of, read_manifest, read_tensors
from tests.running.compose import PROJECT, Project
from tests.running.ports import free_port
from tests.running.processes import ROOT, Running

PAGE = (ROOT / "docs/handlers.md").read_text(encoding="utf-8")
SERVE, VALIDATE = " python -m onnx_serving", " python -m onnx_serving validate"
FELT = pytest.approx(-19.5, abs=0.25)
# a language of blocks on the page -> the files that they are parts of, in order
SHOWN = {
    "python": ["examples/mood/handler.py", "examples/unsure.py"],
    "json": ["examples/mood/model/model.json"],
    "yaml": ["examples/compose.windchill.yaml"],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


def run(command: str, folder: Path = ROOT) -> str:
    """Run one line in a shell whose python is this one; return what it writes."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def only(*, starts: str = "", has: str = "", ends: str = "") -> str:
    (found,) = [line for line in COMMANDS if line.startswith(starts) and has in line and line.endswith(ends)]
    return found


def test_every_command_is_one_that_is_run_here() -> None:
    ours = ("python -m examples.windchill.train", "sha256sum ", "curl ", "docker compose ")
    assert [c for c in COMMANDS if not c.startswith(ours) and not c.endswith((SERVE, VALIDATE))] == []


def test_training_writes_the_folder_anew(tmp_path: Path) -> None:
    """In a copy, without the model."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("model"))
    run(only(starts="python -m examples.windchill.train"), tmp_path)
    model = Path("examples/windchill/model/coefficients.json")
    assert (tmp_path / model).read_bytes() == (ROOT / model).read_bytes()


def test_the_digest_is_written_as_the_manifest_has_it() -> None:
    digest, file = run(only(starts="sha256sum ")).split()
    (manifest,) = blocks("json")
    assert json.loads(manifest)["files"] == {Path(file).name: {"sha256": digest}}


def test_the_manifest_of_tensors_is_one_that_is_read() -> None:
    (shown,) = blocks("jsonc")
    manifest = read_manifest(shown.replace('"..."', f'"{"0" * 64}"').encode(), "docs/handlers.md")
    assert kind_of(manifest) == "tensors"
    assert [spec.name for spec in read_tensors(manifest).inputs] == ["tokens"]


def answers(launch: Callable[..., Running], example: str) -> list[Any]:
    """Serve the example as documented and return what the page's requests to it are answered."""
    serve = only(has=f"/{example}/", ends=SERVE)
    settings = serve.removesuffix(SERVE).replace("$PWD", str(ROOT)).split()
    service = launch("onnx", **dict(setting.split("=", 1) for setting in settings))
    service.wait_until_ready()
    later = COMMANDS[COMMANDS.index(serve) + 1 :]
    asked = later[: next((at for at, line in enumerate(later) if not line.startswith("curl ")), len(later))]
    found = [json.loads(run(command.replace("http://127.0.0.1:8080", service.url))) for command in asked]
    service.end()
    return found


def test_the_model_of_text_answers_as_documented(launch: Callable[..., Running]) -> None:
    one, several, inferred = answers(launch, "mood")
    assert one == {"gladness": 0.25, "mood": "glad"}
    assert several[0] == one
    assert several[1] == {"error": "the text is empty: send some words"}
    assert several[2] == {"gladness": pytest.approx(-1.3 / 3), "mood": "sad"}
    assert {output["name"]: output["data"] for output in inferred["outputs"]} == {
        "gladness": [pytest.approx(-1.3 / 3)],
        "mood": ["sad"],
    }


def test_the_model_of_numbers_answers_as_documented(launch: Callable[..., Running]) -> None:
    one, several, inferred = answers(launch, "windchill")
    assert one == {"felt": FELT}
    assert several[0] == {"felt": FELT}
    assert several[1].keys() == {"error"}
    assert inferred["outputs"][0]["data"] == [FELT]


def test_validate_finds_the_example_good() -> None:
    told = run(only(ends=VALIDATE)).splitlines()
    assert len(told) == 7
    assert all(line.startswith("ok windchill: ") for line in told)


@pytest.mark.parametrize("language", SHOWN)
def test_the_code_shown_is_the_code(language: str) -> None:
    for shown, file in zip(blocks(language), SHOWN[language], strict=True):
        assert shown in (ROOT / file).read_text(encoding="utf-8")


def test_the_settings_for_several_models_are_read() -> None:
    from serving_core.settings import Settings, handler_names

    (pairs,) = re.findall(r"`HANDLER=(\S+=\S+)`", PAGE)
    settings = Settings(service="onnx", model_uri="file:///nowhere", handler=pairs)
    assert [*handler_names(settings)] == ["weather", "windchill"]


@pytest.mark.engine
@pytest.mark.timeout(1200)
def test_a_container_serves_code_and_model_that_are_mounted(composed: Project) -> None:
    """The command as documented, in a project of its own, with the images that are built already."""
    command = shlex.split(only(starts="docker compose "))[2:]
    at = command.index("--build")
    command[at : at + 1] = ["--no-build", "--detach", "--wait"]
    own = {"COMPOSE_PROJECT_NAME": f"{PROJECT}-mounted", "ONNX_PORT": str(free_port())}
    try:
        up = composed.compose(*command, check=False, **own)
        assert up.returncode == 0, up.stderr[-3000:]
        url = f"http://127.0.0.1:{own['ONNX_PORT']}/predict/"
        assert requests.post(url, json={"weather": [-10, 30]}, timeout=120).json() == {"felt": FELT}
    finally:
        composed.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False, **own)
