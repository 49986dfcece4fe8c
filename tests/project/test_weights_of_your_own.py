"""A project for weights whose network is a class of the user's: the module goes along, and is found."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bench.request_sets.reader import read_request_set
from tests.running.ports import free_port

Command = Callable[..., "subprocess.CompletedProcess[str]"]
NETWORK = """\
import torch

from sizes import WIDTH


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, WIDTH)

    def forward(self, row):
        return self.layer(row)
"""


@pytest.fixture
def project(program: Command, tmp_path: Path) -> Path:
    """A project made by the commands that its user types, in a folder with the weights and the code."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "nets.py").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "mine" / "sizes.py").write_text("WIDTH = 2\n", encoding="utf-8")
    save_file({"layer.weight": torch.ones(2, 4), "layer.bias": torch.zeros(2)}, tmp_path / "w.safetensors")
    taken = program(
        *("python", "-m", "modelkit", "add", "../w.safetensors", "--architecture", "nets:Net"),
        *("--input", "row:FP32[-1,4]", "--name", "sums", "--to", "../made"),
        cwd=tmp_path / "mine",
    )
    assert taken.returncode == 0, taken.stderr
    done = program("bench", "init", "p", "--model", "made", "--code", "mine")
    assert (done.returncode, "model_code" in done.stderr) == (0, False), done.stderr
    return tmp_path / "p"


def serve(program: Command, project: Path, runtime: str) -> None:
    """Two strategies serve the weights: what is asked of them is drawn by one, and recorded by the other."""
    assert {path.name for path in (project / "model_code").iterdir()} == {"README.md", "nets.py", "sizes.py"}
    ports = f"TORCH_PORT={free_port()}\nBATCHED_PORT={free_port()}\n"
    (project / ".env").write_text(ports, encoding="utf-8")
    for verb in (["make", "--count", "3", "--strategy", "batched"], ["record", "--strategy", "torch"]):
        done = program("bench", "requests", *verb, "--runtime", runtime, cwd=project)
        assert done.returncode == 0, done.stderr
    found = read_request_set(project / "requests")
    assert len(found.requests) == 3
    assert {type(one.expect).__name__ for one in found.requests} == {"TensorsExpectation"}


@pytest.mark.slow
def test_processes_serve_weights_by_the_code_that_the_project_took_along(
    program: Command, project: Path
) -> None:
    serve(program, project, "process")


@pytest.mark.engine
@pytest.mark.nightly
@pytest.mark.timeout(1500)
def test_containers_serve_weights_by_the_code_that_the_project_took_along(
    program: Command, project: Path
) -> None:
    """The images are built from the project alone, and have the modules where the services import them."""
    try:
        serve(program, project, "compose")
    finally:
        words = ["docker", "compose", "down", "--rmi", "local", "--volumes"]
        subprocess.run(words, cwd=project, check=True, capture_output=True, timeout=120)
