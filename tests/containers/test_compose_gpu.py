"""What compose.gpu.yaml adds to compose.yaml, as `docker compose config` tells it without a GPU."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ABOUT_GPUS = {"image", "build", "deploy", "environment"}

pytestmark = pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command here")


def configured(folder: Path, *files: str) -> dict[str, Any]:
    """Return the services as these files make them, with nothing beside them."""
    for file in files:
        shutil.copy(ROOT / file, folder)
    options = [option for file in files for option in ("-f", file)]
    command = ["docker", "compose", *options, "config", "--format", "json"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    services: dict[str, Any] = json.loads(made.stdout)["services"]
    return services


@pytest.fixture
def plain(tmp_path: Path) -> dict[str, Any]:
    return configured(tmp_path, "compose.yaml")


@pytest.fixture
def with_gpu(tmp_path: Path) -> dict[str, Any]:
    return configured(tmp_path, "compose.yaml", "compose.gpu.yaml")


def test_batched_serving_gets_one_gpu_and_is_told_to_use_it(with_gpu: dict[str, Any]) -> None:
    service = with_gpu["batched_serving"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 1, ["gpu"])
    assert service["environment"]["DEVICE"] == "cuda"


def test_its_image_is_another_one_with_the_build_for_cuda(
    plain: dict[str, Any], with_gpu: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert with_gpu["batched_serving"]["image"] != plain["batched_serving"]["image"]
    build = with_gpu["batched_serving"]["build"]
    assert build["args"]["TORCH_INDEX"] == "general"
    assert "locks/torch-cuda.txt" in (ROOT / build["dockerfile"]).read_text(encoding="utf-8")
    # wheels for the processor must not be found first
    monkeypatch.setenv("WHEELS_DIR", str(tmp_path / "cpu-wheels"))
    again = configured(tmp_path, "compose.yaml", "compose.gpu.yaml")["batched_serving"]["build"]
    assert Path(again["additional_contexts"]["wheels"]).name == "wheels"


def test_all_else_stays_as_it_is(plain: dict[str, Any], with_gpu: dict[str, Any]) -> None:
    changed = {
        (name, key)
        for name, service in with_gpu.items()
        for key in service
        if service[key] != plain[name].get(key)
    }
    assert changed == {("batched_serving", key) for key in ABOUT_GPUS}
    assert (
        with_gpu["batched_serving"]["environment"].items() > plain["batched_serving"]["environment"].items()
    )
