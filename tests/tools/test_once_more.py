"""tools/once_more.sh on small suites: what passes by itself is named, and what fails again has failed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "once_more.sh"
RIGHT = "def test_right(): pass\n"
WRONG = "def test_wrong(): assert 0\n"
# fails the first time it runs, and never again
ONCE = """
from pathlib import Path

def test_once():
    file = Path(__file__).with_suffix(".ran")
    again = file.exists()
    file.touch()
    assert again
"""


def run(folder: Path, tests: dict[str, str], *words: str) -> tuple[int, "subprocess.CompletedProcess[str]"]:
    """Write and run the tests, then the script; the first status, and how the script ended."""
    if not (folder / "pytest.ini").exists():
        (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in tests.items():
        (folder / f"test_{name}.py").write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", *words]
    first = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    command = ["sh", str(SCRIPT), sys.executable, str(first.returncode), *words]
    then = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return first.returncode, then


def test_a_test_that_passes_by_itself_is_named_as_unstable(tmp_path: Path) -> None:
    first, then = run(tmp_path, {"once": ONCE, "right": RIGHT})
    assert (first, then.returncode) == (1, 0), then.stderr
    _, _, named = then.stderr.partition("UNSTABLE")
    assert "test_once.py::test_once" in named
    assert "test_right" not in then.stderr + then.stdout


def test_a_test_that_fails_again_has_failed_whatever_passes_beside_it(tmp_path: Path) -> None:
    first, then = run(tmp_path, {"once": ONCE, "wrong": WRONG})
    assert (first, then.returncode) == (1, 1)
    assert "failed again" in then.stderr
    assert "UNSTABLE" not in then.stderr


def test_failures_all_over_are_not_run_again(tmp_path: Path) -> None:
    first, then = run(tmp_path, {f"once_{number}": ONCE for number in range(4)})
    assert (first, then.returncode) == (1, 1)
    assert "4 files" in then.stderr
    assert then.stdout == ""


def test_what_failed_is_chosen_as_it_was_before(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -m 'not slow'\nmarkers = slow\n")
    slow = ONCE.replace("def test_once", "import pytest\n\n@pytest.mark.slow\ndef test_once")
    first, then = run(tmp_path, {"once": slow, "right": RIGHT}, "-m", "slow")
    assert (first, then.returncode) == (1, 0), then.stderr
    assert "test_once.py::test_once" in then.stderr.partition("UNSTABLE")[2]


@pytest.mark.parametrize("broken", ["import no_such_module_at_all", "def broken(:"])
def test_what_is_no_test_s_failure_keeps_its_status(tmp_path: Path, broken: str) -> None:
    first, then = run(tmp_path, {"broken": broken, "once": ONCE})
    assert first == 2
    assert then.returncode == 2
    assert then.stdout == ""
