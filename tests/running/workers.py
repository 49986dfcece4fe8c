"""What the processes of one run of the tests (pytest-xdist) share: who runs which, and files made once."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

CONTAINERS = "the project's containers"
CONTAINERS_FILES = ("tests/containers/", "tests/contract/", "tests/examples/test_handlers_page.py")
# takes longest of all, and has a project of its own
MAKE_BENCH = "tests/containers/test_make_bench.py"
# each test makes all that it needs, and takes minutes
APART = ("tests/calibration/edges/test_edges.py",)
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID")


def group_of(nodeid: str) -> str:
    """Return the name of the tests that one process runs, one after the other: a file's.

    All that share the project's containers are one group: they stop some of them, and build their images.
    A test of a file in APART is a group of its own.
    """
    if nodeid.startswith(CONTAINERS_FILES) and not nodeid.startswith(MAKE_BENCH):
        return CONTAINERS
    return nodeid if nodeid.startswith(APART) else nodeid.partition("::")[0]


class Groups(LoadScopeScheduling):
    """Gives each process that is free the next group of tests, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a path at which the first process that asks makes something; the others wait and use it."""
    folder = factory.getbasetemp()
    path = (folder if RUN is None else folder.parent) / name
    with path.with_name(f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = path.with_name(f"{name}.made")
        if not done.exists():
            make(path)
            done.touch()
    return path
