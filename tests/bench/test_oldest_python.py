"""The oldest Python that pyproject.toml names will do: the first of 3.11, as Debian 12 has it."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# as old as Debian 12's; a later 3.11 has what came with it as well
OLD_ENOUGH = range(4)
SAY_VERSION = "import sys; print(*sys.version_info[:3])"


def oldest() -> Path | None:
    """An early Python 3.11 of this machine, None if it has none."""
    named = (os.environ.get("OLDEST_PYTHON"), "/usr/bin/python3.11", "/usr/bin/python3")
    for program in filter(None, named):
        done = (
            subprocess.run([program, "-c", SAY_VERSION], capture_output=True, text=True, check=False)
            if (shutil.which(program))
            else None
        )
        numbers = tuple(map(int, done.stdout.split())) if done and done.returncode == 0 else ()
        if numbers[:2] == (3, 11) and numbers[2] in OLD_ENOUGH:
            return Path(program)
    return None


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the packages at hand are for another Python")
def test_the_gate_runs_on_the_first_python_that_is_promised() -> None:
    program = oldest()
    if program is None:
        pytest.skip("this machine has no early Python 3.11")
    done = subprocess.run(
        [program, REPOSITORY / ".ci" / "smoke"],
        env={**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Pass: the one rule holds" in done.stdout


def test_an_older_python_is_told_which_is_needed_before_anything_starts() -> None:
    # as an older Python would read it: only what comes before the first import of ours
    text = (REPOSITORY / "bench" / "__main__.py").read_text()
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.version_info = (3, 10, 13)\n{text}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"bench: Python 3\.11 or newer is needed, and this is 3\.10: .*venv.*", line)


def test_the_promise_is_the_one_that_is_checked() -> None:
    assert 'requires-python = ">=3.11"' in (REPOSITORY / "pyproject.toml").read_text()
