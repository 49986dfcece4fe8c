"""A device chooses the strategies that can compute on it, and reaches them in both runtimes."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cores import Cores
from bench.errors import UsageError
from bench.measure.machine.fingerprint import gpu
from bench.measure.runtime.compose_cli import override_of
from bench.measure.runtime.process_runtime import ProcessRuntime
from bench.measure.runtime.registry import Registry, able_to, load_registry
from bench.model import Device

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
CORES = Cores((0,), (0,), (0,))


@pytest.fixture
def registry(project: Path) -> Registry:
    """Of fast and slow, slow computes on a GPU too."""
    file = project / "compose.yaml"
    head, mark, rest = file.read_text().partition("bench.strategy: slow")
    file.write_text(f"{head}{mark}\n      bench.devices: cpu, cuda{rest}")
    return load_registry(project, {})


def test_a_strategy_without_the_label_computes_on_the_processor_alone(registry: Registry) -> None:
    assert registry.strategies["fast"].devices == ("cpu",)
    assert registry.strategies["slow"].devices == ("cpu", "cuda")


@pytest.mark.parametrize(
    ("device", "chosen"), [("auto", ["fast", "slow"]), ("cpu", ["fast", "slow"]), ("cuda", ["slow"])]
)
def test_unnamed_strategies_are_those_that_can(registry: Registry, device: Device, chosen: list[str]) -> None:
    found = able_to(registry.select(None), device, named=False)
    assert [strategy.name for strategy in found] == chosen


def test_a_named_one_that_cannot_is_a_usage_error_with_the_remedy(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"^fast cannot compute on cuda: .*bench\.devices: cuda"):
        able_to(registry.select(["fast", "slow"]), "cuda", named=True)
    with pytest.raises(UsageError, match="no strategy computes on cuda"):
        able_to(registry.select(["fast"]), "cuda", named=False)


def test_a_run_on_a_gpu_plans_only_what_computes_there(registry: Registry, bench: Bench) -> None:
    done = bench("plan", "--root", registry.root, "--device", "cuda", "--concurrency", "1,2")
    assert done.returncode == 0, done.stderr
    assert "slow" in done.stdout
    assert "fast" not in done.stdout
    refused = bench("plan", "--root", registry.root, "--device", "cuda", "--strategies", "fast")
    assert refused.returncode == 2
    assert "bench: fast cannot compute on cuda" in refused.stderr


@pytest.mark.parametrize(("device", "told"), [("auto", None), ("cpu", "cpu"), ("cuda", "cuda")])
def test_the_device_reaches_a_local_process(
    registry: Registry, tmp_path: Path, device: Device, told: str | None
) -> None:
    runtime = ProcessRuntime(registry, CORES, device)
    services = registry.services
    assert runtime.environment(services["slow-service"], tmp_path).get("DEVICE") == told
    assert "DEVICE" not in runtime.environment(services["helper"], tmp_path)
    runtime.close()


def test_the_device_reaches_a_container_and_a_gpu_with_it(registry: Registry) -> None:
    def service(device: Device) -> dict[str, object]:
        return dict(json.loads(json.dumps(override_of(registry, CORES, device)))["services"]["slow-service"])

    assert "environment" not in service("auto")
    assert service("cpu")["environment"] == {"DEVICE": "cpu"}
    assert "deploy" not in service("cpu")
    assert service("cuda")["environment"] == {"DEVICE": "cuda"}
    assert "deploy" in service("cuda")


def test_a_gpu_that_the_project_s_own_files_give_is_not_given_twice(registry: Registry) -> None:
    gpus = "{reservations: {devices: [{driver: nvidia, count: 1, capabilities: [gpu]}]}}"
    file = registry.root / "compose.yaml"
    before, name, after = file.read_text().partition("  slow-service:\n")
    file.write_text(f"{before}{name}    deploy: {{resources: {gpus}}}\n{after}")
    given = override_of(load_registry(registry.root, {}), CORES, "cuda")
    assert "deploy" not in json.loads(json.dumps(given))["services"]["slow-service"]


def test_the_gpu_is_what_its_tool_says_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu() is None
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100, 81559 MiB, 550.1'\n")
    tool.chmod(0o755)
    assert gpu() == "NVIDIA H100, 81559 MiB, 550.1"
    tool.write_text("#!/bin/sh\necho 'no driver'; exit 9\n")
    assert gpu() is None
