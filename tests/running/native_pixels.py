"""The extension `native_pixels`, built by cargo and imported from a folder that holds nothing else."""

import importlib
import os
import shutil
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from tests.running.rust import build, required, why_not

# as in tools/rust.sh: what they set differently, cargo would compile anew each time
WITHOUT_INTERPRETER = {"PYO3_NO_PYTHON": "1"}


class Extension(NamedTuple):
    """The module, and the folder that another process finds it in by PYTHONPATH."""

    folder: Path
    module: ModuleType


def native_pixels(folder: Path) -> Extension:
    """Build the extension, put it into `folder` and import it; if it cannot be built, skip or fail the test.

    A process has it once, from the first folder that it was put into.
    """
    if (reason := why_not()) is not None:
        if required():
            pytest.fail(reason)
        pytest.skip(reason)
    shutil.copy(_library(), folder / "native_pixels.abi3.so")
    sys.path.insert(0, str(folder))
    try:
        return Extension(folder, importlib.import_module("native_pixels"))
    finally:
        sys.path.remove(str(folder))


@cache
def _library() -> Path:
    """Build the library; a process that asks meanwhile waits for cargo's own lock."""
    made = build("--package", "native_pixels", environment={**os.environ, **WITHOUT_INTERPRETER})
    (files,) = (one["filenames"] for one in made if one["target"]["name"] == "native_pixels")
    (library,) = (Path(name) for name in files if name.endswith(".so"))
    return library
