"""Where an example's maker writes: a folder that git ignores, unless another is asked for."""

import argparse
from pathlib import Path

MADE = Path("made")


def output_folder(example: str, what: str) -> Path:
    """Return the folder that the command line names, made/EXAMPLE by default; it exists afterwards.

    `what` is what the maker does, for its --help.
    """
    parser = argparse.ArgumentParser(prog=f"python -m examples.{example}.make", description=what)
    parser.add_argument("--output", type=Path, default=MADE / example, help="folder to write (%(default)s)")
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    return folder
