"""A second harness on the same compose project is told to wait: it would end the first one's containers."""

import subprocess
import sys

import pytest

from bench.errors import BenchError
from bench.measure.runtime.conflicts import ProjectLock

HOLD = """
import sys
from bench.measure.runtime.conflicts import ProjectLock
lock = ProjectLock(sys.argv[1])
lock.take()
print("held", flush=True)
sys.stdin.read()
"""


def test_one_process_at_a_time_and_a_killed_one_leaves_nothing(request: pytest.FixtureRequest) -> None:
    project = f"lock-test-{id(request)}"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, project], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BenchError, match=f"another bench measures with the compose project {project}"):
            ProjectLock(project).take()
        other = ProjectLock(f"{project}-other")
        other.take()
        other.release()
    finally:
        holder.kill()
        holder.communicate()
    lock = ProjectLock(project)
    lock.take()
    lock.release()
    lock.take()
    lock.release()
