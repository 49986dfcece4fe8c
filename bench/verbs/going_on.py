"""The command that goes on with a run that was cut short, as it can be typed where the run was started."""

import os
import shlex
import sys
from pathlib import Path

from bench.model import Run
from bench.run_file import FILE_NAME
from bench.verbs.arguments import Places


def command_to_go_on(run: Run, folder: Path, places: Places, *, build: bool) -> str | None:
    """The command; None if the run is complete, or if nothing of it is on disk.

    run.json must not name places of this machine, so it has no such command: this one is only printed.
    """
    if not any(one.code == "incomplete" for one in run.doubts) or not (folder / FILE_NAME).is_file():
        return None
    words = [_typed(Path(sys.executable)), "-m", "bench", "run", "--resume", _typed(folder)]
    if places.root != Path():
        words += ["--root", _typed(places.root)]
    if places.requests is not None:
        words += ["--requests", _typed(places.requests)]
    if places.listen is not None:
        words += ["--listen", "{}:{}".format(*places.listen)]
    for one in places.attached:
        words += one.words
    if places.ca is not None:
        words += ["--ca", _typed(places.ca)]
    if not build:
        words.append("--no-build")
    return shlex.join(words)


def _typed(path: Path) -> str:
    """The path from here if it lies below, else in full; a name with a dash in front is no option."""
    below = path.absolute()
    here = Path.cwd()
    shown = str(below.relative_to(here)) if below.is_relative_to(here) else str(below)
    return os.path.join(".", shown) if shown.startswith("-") else shown  # noqa: PTH118  # pathlib drops the dot
