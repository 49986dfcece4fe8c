"""schemathesis holds each service to its own OpenAPI document: what it takes, refuses and answers."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.running.rust import RUST

ROOT = Path(__file__).parents[2]
# stateful: no answer names anything that another request could ask for
PHASES = "examples,coverage,fuzzing"
CASES_AN_OPERATION = 25
SEED = "1"
OPTIONS = ["--checks", "all", "--phases", PHASES, "--seed", SEED, "--max-examples", str(CASES_AN_OPERATION)]
QUIET = ["--generation-database", "none", "--continue-on-failure", "--no-color"]

# what is described is serving_core's, and two services of it show it no more often than one
ONE = "onnx"
SERVICES = [ONE, *(pytest.param(name, marks=pytest.mark.nightly) for name in ("torch", "batched")), RUST]


@pytest.mark.parametrize("service", SERVICES, indirect=True)
def test_the_service_does_what_its_description_says(service: Any, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{service.url}/api-description"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.contract.schemathesis_hooks",
    }
    done = subprocess.run(
        [*command, "--url", service.url, *OPTIONS, *QUIET],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # a run that found nothing to ask would pass too
    assert "Operations:       16 selected / 16 total" in done.stdout, done.stdout
