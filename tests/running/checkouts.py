"""A copy of the checkout, for what writes into the folder that it runs in."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.running.processes import ROOT


def copy_checkout(copy: Path, without: tuple[str, ...] = ("results/", "tests/")) -> Path:
    """Copy what git holds or would add, but for what lies in these folders; return the copy."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in os.fsdecode(listed.stdout).split("\0"):
        if name and not name.startswith(without) and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy
