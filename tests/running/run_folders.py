"""The folders of runs that tests made."""

import json
import re
from pathlib import Path
from typing import Any


def only_run(results: Path) -> Path:
    """Return the only run's folder, whose name is that of a run."""
    (folder,) = results.iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}Z-\w+(-dirty)?", folder.name)
    return folder


def read(folder: Path) -> dict[str, Any]:
    """Return what the run wrote into run.json."""
    found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return found
