"""What images of services hold: no more than a budget, nothing listed as unused, and all that serves."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from tests.running.compose import Project

ROOT = Path(__file__).parents[2]
BASE_IMAGE = "python:3.11-slim-bookworm"
pytestmark = [pytest.mark.engine, pytest.mark.slow]

# bytes of an image's own layers, unpacked; they hang on the locks alone
MOST_BYTES = {"onnx": 150_000_000, "torch": 600_000_000, "batched": 600_000_000}
SITE = "/opt/venv/lib/python3.11/site-packages"
# prints the code that a pattern of the list still finds
LEFT = """
import sys; sys.path.insert(0, "/tools"); import slim
from pathlib import Path
packages = Path(sys.argv[1])
for pattern in slim.patterns(Path("/tools/unused.txt").read_text()):
    for path in packages.glob(pattern):
        files = [path] if path.is_file() else path.rglob("*")
        print(*(file for file in files if file.suffix in slim.CODE))
"""
# a program of torch.export is what needs most of PyTorch to be read, and tracing needs a little more
READ = """
import torch, torch._inductor.package
from modelkit.programs import read_program, runnable
from pathlib import Path
network = runnable(read_program(Path("/given/program.pt2")))
with torch.inference_mode():
    print(*network(torch.ones(3, 3, 8, 8)).shape, *network(torch.ones(1, 3, 8, 8)).shape)
linear = torch.nn.Linear(2, 2)
print(len(torch.export.export(linear, (torch.ones(1, 2),)).state_dict))
"""


def in_image(
    composed: Project, strategy: str, program: str, *arguments: str, given: Path = ROOT / "tools"
) -> str:
    """Run a program of Python in the strategy's image, with the tools that made the image beside it."""
    image = composed.inspect(f"{strategy}_serving")["Image"]
    options = ["--rm", "--network", "none", "--user", "0", "--entrypoint", "python", "--workdir", "/app"]
    mounts = ["--volume", f"{ROOT / 'tools'}:/tools:ro", "--volume", f"{given}:/given:ro"]
    command = ["docker", "run", *options, *mounts, image, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def own_bytes(image: str) -> int:
    """Return the bytes of an image's layers over those of the base image."""

    def size(name: str) -> int:
        words = ["docker", "image", "inspect", "--format", "{{json .Size}}", name]
        found: int = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        return found

    return size(image) - size(BASE_IMAGE)


@pytest.mark.parametrize("strategy", MOST_BYTES)
def test_the_layers_of_an_image_stay_below_their_budget(composed: Project, strategy: str) -> None:
    assert own_bytes(composed.inspect(f"{strategy}_serving")["Image"]) <= MOST_BYTES[strategy]


@pytest.mark.parametrize("strategy", MOST_BYTES)
def test_an_image_holds_nothing_that_is_listed_as_unused(composed: Project, strategy: str) -> None:
    assert in_image(composed, strategy, LEFT, SITE) == ""


@pytest.mark.parametrize("strategy", ["torch", "batched"])
def test_an_image_with_pytorch_still_reads_programs(composed: Project, strategy: str, tmp_path: Path) -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.Flatten(), torch.nn.Linear(288, 4)
    ).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(network, (torch.rand(2, 3, 8, 8),), dynamic_shapes={"input": {0: batch}})
    torch.export.save(program, tmp_path / "program.pt2")
    tmp_path.chmod(0o755)
    assert in_image(composed, strategy, READ, given=tmp_path).split("\n") == ["3 4 1 4", "2"]


def test_every_listed_package_is_still_named_with_its_licence(composed: Project) -> None:
    """What is removed is code; the metadata of a package says under which licence the rest is given."""
    program = (
        "import importlib.metadata as m; print(*(d.metadata['Name'].lower() for d in m.distributions()))"
    )
    assert {"numpy", "onnxruntime", "pillow", "flatbuffers"} <= set(
        in_image(composed, "onnx", program).split()
    )
