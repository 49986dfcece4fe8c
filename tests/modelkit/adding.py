"""What the tests of `add` share: the command run in this process, and the manifest that it wrote."""

import json
from pathlib import Path
from typing import Any

from modelkit.__main__ import main


def add(file: Path, *words: str, to: Path | None = None) -> tuple[int, Path]:
    """Add a file, into a folder beside it by default; the exit status and the folder."""
    place = to or file.parent / "published"
    return main(["add", str(file), "--name", "mine", "--to", str(place), *words]), place


def manifest(place: Path) -> dict[str, Any]:
    return dict(json.loads((place / "model.json").read_text("utf-8")))
