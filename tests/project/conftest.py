"""The wheel, built once, and installed into an environment that knows no checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running.checkouts import copy_checkout
from tests.running.workers import made_once

ROOT = Path(__file__).parents[2]
OFFLINE = ["--disable-pip-version-check", "--no-index", "--no-deps", "--quiet"]
# where the engine is, and where a build of images gets packages from
OF_BUILDS = ("DOCKER_HOST", "WHEELS_DIR", "PIP_FIND_LINKS", "PIP_INDEX_URL")
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def pip(*words: str, cwd: Path) -> None:
    command = [sys.executable, "-m", "pip", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def build(folder: Path) -> None:
    """Build the wheel from a copy of what git holds or would add: a build leaves files beside its sources."""
    copy = copy_checkout(folder.with_name("sources-of-the-wheel"), ("results/", "images/", "tests/"))
    pip("wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", str(folder), ".", cwd=copy)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's file."""
    (file,) = made_once(tmp_path_factory, "wheel", build).glob("*.whl")
    return file


def environment_of_its_own(place: Path) -> Path:
    """Make a virtual environment with nothing but this one's packages; return the folder of its programs."""
    venv.create(place, with_pip=False, symlinks=True)
    (packages,) = (place / "lib").glob("python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return place / "bin"


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with the wheel and its extras.

    Their packages are this environment's: pip finds that all that the extras ask for is there.
    """
    programs = environment_of_its_own(tmp_path_factory.mktemp("installed"))
    options = ["--disable-pip-version-check", "--no-index", "--quiet"]
    python = str(programs / "python")
    pip("--python", python, "install", *options, f"{wheel}[bench,modelkit]", cwd=programs)
    return programs


@pytest.fixture
def program(installed: Path, tmp_path: Path) -> Command:
    """Runs a program of that environment, in the test's folder unless another one is named."""

    def run(name: str, *words: object, cwd: Path = tmp_path) -> "subprocess.CompletedProcess[str]":
        command = [str(installed / name), *map(str, words)]
        environment = {
            **{name: os.environ[name] for name in OF_BUILDS if name in os.environ},
            "PATH": f"{installed}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
        }
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=1200, check=False
        )

    return run
