"""A service that is started where its packages are not installed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("service", "lock"), [("onnx", "onnx"), ("torch", "torch"), ("batched", "torch")])
def test_a_service_without_its_packages_says_what_installs_them(service: str, lock: str) -> None:
    """The last line of its log is what `bench` quotes."""
    command = [sys.executable, "-S", "-m", f"{service}_serving"]  # -S: nothing that pip installed
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("the package ")
    assert done.stderr.count("\n") == 1
    assert (
        f"is missing: `sh tools/install.sh locks/{lock}.txt .venv` installs what this service" in done.stderr
    )
    assert (ROOT / "tools/install.sh").is_file()
    assert (ROOT / "locks" / f"{lock}.txt").is_file()
