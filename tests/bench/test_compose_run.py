"""`bench run` from end to end with containers, and what it leaves behind."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running.exit_codes import code_of

pytestmark = pytest.mark.engine

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
BASE_IMAGE = "python:3.11-slim-bookworm"
OPTIONS = (
    "--max-other-cpu",
    "100%",
    "--runtime",
    "compose",
    "--concurrency",
    "4",
    "--quick",
    "--warmup-s",
    "0.3",
    "--window-s",
    "1",
)
SHORT = (*OPTIONS, "--startups", "0", "--loop-seconds", "0", "--payloads", "small")


def docker(*args: str, cwd: Path | None = None) -> str:
    done = subprocess.run(["docker", *args], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def containers(project: Path) -> Iterator[Path]:
    """The project with an image that compose builds; everything is taken down afterwards."""
    (project / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nWORKDIR /app\nCOPY stub_strategy.py .\n")
    text = (project / "compose.yaml").read_text()
    # each service builds its own tag: two builds of one tag at a time would race
    text = re.sub(r"  (\S+):\n    image: .*\n", r"  \1:\n    build: .\n", text)
    (project / "compose.yaml").write_text(text)
    yield project
    docker("compose", "down", "--rmi", "local", "--timeout", "1", cwd=project)


def names(project: Path) -> set[str]:
    """The services of the project that run now."""
    return set(docker("compose", "ps", "--services", cwd=project).split())


def run_json(results: Path) -> dict[str, Any]:
    (folder,) = results.iterdir()
    return dict(json.loads((folder / "run.json").read_text()))


def test_a_run_measures_containers_and_takes_them_down(
    bench: Bench, containers: Path, tmp_path: Path
) -> None:
    options = (*OPTIONS, "--startups", "2", "--loop-seconds", "0.2", "--payloads", "small")
    done = bench("run", "--root", containers, "--results", tmp_path / "results", *options)
    found = run_json(tmp_path / "results")
    # a busy machine may spoil a window as short as this one
    assert done.returncode == code_of(found), done.stderr
    assert found["runtime"] == "compose"
    assert len(found["trials"]) == 2
    for trial in found["trials"]:
        assert (trial["error"], trial["wrong_answers"]) == (None, 0)
        assert trial["cpu_ms_per_request"] > 0
        assert trial["peak_memory_bytes"] > 1_000_000
    for strategy in found["strategies"].values():
        image = strategy["image"]
        assert image["unpacked_bytes"] > image["compressed_bytes"] > 10_000_000
        assert sum(layer["compressed_bytes"] for layer in image["layers"]) == image["compressed_bytes"]
        assert len(strategy["startup"]["first_correct_answer_s"]) == 2
        assert min(strategy["startup"]["phases"]["running_s"]) > 0
        assert strategy["startup"]["model_cache"] == "cold"
        assert [loop["part"] for loop in strategy["loops"]] == ["whole", "prepare", "infer"]
    assert found["environment"]["address_kind"] in ("bridge", "published")
    assert set(found["environment"]["images"]) == {"fast", "slow"}
    assert names(containers) == set()


def test_strategies_that_were_up_are_brought_back_as_they_were(
    bench: Bench, containers: Path, tmp_path: Path
) -> None:
    docker("compose", "up", "--build", "--detach", cwd=containers)
    assert names(containers) == {"helper", "fast-service", "slow-service"}
    done = bench(
        "run", "--root", containers, "--results", tmp_path, *SHORT, "--strategies", "fast", "--no-build"
    )
    assert done.returncode in (0, 4), done.stderr
    assert names(containers) == {"helper", "fast-service", "slow-service"}
    identity = docker("compose", "ps", "--quiet", "fast-service", cwd=containers)
    assert docker("inspect", "--format", "{{.HostConfig.CpusetCpus}}", identity) == ""


def test_an_interrupted_run_takes_its_containers_down(containers: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "run", "--root", containers, "--results", tmp_path / "results"]
    process = subprocess.Popen(
        [*command, *SHORT, "--rounds", "20"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "requests/s, p99" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "bench: interrupted" in err
    assert "Traceback" not in err
    assert 1 <= len(run_json(tmp_path / "results")["trials"]) < 40
    assert names(containers) == set()


def test_images_that_are_not_built_name_the_remedy(bench: Bench, containers: Path, tmp_path: Path) -> None:
    done = bench("run", "--root", containers, "--results", tmp_path, *SHORT, "--no-build")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("bench: ")]
    assert len(lines) == 1
    assert "--no-build" in lines[0]


def test_a_container_that_exits_at_once_names_its_last_line(
    bench: Bench, containers: Path, tmp_path: Path
) -> None:
    text = (containers / "compose.yaml").read_text()
    broken = text.replace(
        '["python", "stub_strategy.py"]', '["python", "-c", "raise SystemExit(\'no model\')"]'
    )
    (containers / "compose.yaml").write_text(broken)
    done = bench("run", "--root", containers, "--results", tmp_path, *SHORT)
    assert done.returncode == 4
    assert "no model" in next(line for line in done.stderr.splitlines() if line.startswith("bench: "))


@pytest.mark.nightly
def test_variants_run_in_the_same_image_with_settings_of_their_own(
    bench: Bench, containers: Path, tmp_path: Path
) -> None:
    done = bench(
        *("run", "--root", containers, "--results", tmp_path / "results", *OPTIONS, "--startups", "0"),
        *("--loop-seconds", "0.2", "--payloads", "small", "--vary", "fast:STUB_DELAY_S=0.001,0.03"),
    )
    found = run_json(tmp_path / "results")
    assert done.returncode == code_of(found), done.stderr
    quick, slow = "fast-stub-delay-s-0.001", "fast-stub-delay-s-0.03"
    assert list(found["strategies"]) == [quick, slow]
    images = found["environment"]["images"]
    assert images[quick] == images[slow]
    # a service that sleeps for 30 ms answers nothing sooner
    (trial,) = [one for one in found["trials"] if one["strategy"] == slow]
    assert trial["latency_ms"]["p50"] >= 30
    assert {loop["payload_class"] for loop in found["strategies"][slow]["loops"]} == {"small"}
