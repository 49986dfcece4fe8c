"""The extension `native_pixels`, built by cargo and imported from a folder that holds nothing else."""

import importlib
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from tests.running.rust import rust_target


class Extension(NamedTuple):
    """The module, and the folder that another process finds it in by PYTHONPATH."""

    folder: Path
    module: ModuleType


def native_pixels(folder: Path) -> Extension:
    """Build the extension, put it into `folder` and import it; if it cannot be built, skip or fail the test.

    A process has it once, from the first folder that it was put into.
    """
    shutil.copy(rust_target("native_pixels"), folder / "native_pixels.abi3.so")
    sys.path.insert(0, str(folder))
    try:
        return Extension(folder, importlib.import_module("native_pixels"))
    finally:
        sys.path.remove(str(folder))
