"""What docs/batching.md shows works as it stands, and the tools that its figures come from run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "batching.md"


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_pages_program_runs() -> None:
    (program,) = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert run("-c", program) == "[3, 5]\n"


def test_the_library_needs_nothing_but_python() -> None:
    """In an interpreter without site-packages, and without the rest of this repository."""
    program = "import sys; sys.path.insert(0, '.'); import batched_serving.batching; print(*sys.modules)"
    modules = run("-I", "-S", "-c", program).split()
    ours = {name for name in modules if name.split(".")[0] in {"serving_core", "modelkit", "batched_serving"}}
    assert all(name.startswith("batched_serving.batching") for name in ours - {"batched_serving"})
    assert not {"numpy", "torch", "starlette", "uvicorn"} & set(modules)


def test_the_overhead_of_the_batcher_is_flat_from_one_to_a_thousand_waiters() -> None:
    """A ratio, with room for a busy host: a cost that grew with the queue would be tens of times as much."""
    lines = run("tools/batcher_overhead.py", "--requests", "5000", "--rounds", "3").splitlines()
    least = {int(line.split()[0]): float(line.split()[2]) for line in lines[1:-1]}
    assert [*least] == [1, 2, 10, 50, 100, 300, 1000]
    assert least[1000] < 3 * least[10]
    assert float(lines[-1].split()[0]) < 2048


def test_the_ways_of_preparing_are_compared() -> None:
    out = run("tools/compare_preparation.py", "--seconds", "0.2", "--rounds", "1")
    assert out.count("images/s") == 6
