"""What all tests share: the `engine` marker."""

import os
import shutil
import subprocess

import pytest


def _engine_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    probe = subprocess.run(["docker", "info"], capture_output=True, timeout=60, check=False)
    return probe.returncode == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an engine where none answers, unless REQUIRE_ENGINE=1 makes that a failure."""
    marked = [item for item in items if item.get_closest_marker("engine")]
    if not marked or os.environ.get("REQUIRE_ENGINE") == "1" or _engine_answers():
        return
    for item in marked:
        item.add_marker(pytest.mark.skip(reason="no Docker engine answers"))
