"""A package index, from which some tests install what is not here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# small, pure Python, and pinned with its hashes
PACKAGE = "idna=="


def require_index(folder: Path) -> None:
    """Skip the test if no index answers with a small package; fails instead if REQUIRE_ENGINE=1 says so."""
    lines = (ROOT / "locks" / "bench.txt").read_text(encoding="utf-8").splitlines()
    pin = folder / "pin.txt"
    pin.write_text(next(line for line in lines if line.startswith(PACKAGE)), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    limits = ["--retries", "1", "--timeout", "10", "--no-cache-dir", "--dest", str(folder), "-r", str(pin)]
    # a folder of packages is no index
    environment = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    done = subprocess.run(
        [*pip, *limits], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode == 0:
        return
    why = f"no package index answers: {(done.stderr.strip().splitlines() or ['pip says nothing'])[-1]}"
    if os.environ.get("REQUIRE_ENGINE") == "1":
        pytest.fail(why)
    pytest.skip(why)
