"""`python -m bench.docs`: write anew what documents quote of committed runs and of the verbs' --help."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.docs import help as verbs
from bench.docs import tables
from bench.docs.marks import Mark, spliced
from bench.docs.stage_table import stage_table
from bench.errors import BenchError, UsageError
from bench.model import Run
from bench.run_file import read_run

COMMAND = "python -m bench.docs"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of block: how its mark is written, and the text of it in a document in `folder`."""

    usage: str
    least: int
    most: int
    write: Callable[[Sequence[str], Path], str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Splice, or with --check say what is stale; returns the exit code: 0, 1 stale, 2 usage."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="Markdown files (all that git tracks)"
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a text is stale")
    options = parser.parse_args(arguments)
    try:
        changed = [
            (file, new) for file in options.files or _tracked() if (new := renewed(file)) != _read(file)
        ]
    except BenchError as error:
        print(f"docs: {error}", file=sys.stderr)
        return error.exit_code
    for file, new in changed:
        if options.check:
            print(f"docs: {file.as_posix()} is stale: run `{COMMAND}`", file=sys.stderr)
        else:
            file.write_text(new, encoding="utf-8")
            print(file.as_posix())
    return 1 if options.check and changed else 0


def renewed(file: Path) -> str:
    """The file's text with every block written anew; raises UsageError for a wrong mark, naming its line."""
    return spliced(_read(file), file.as_posix(), lambda mark: _block(mark, file.parent))


def _block(mark: Mark, folder: Path) -> str:
    kind = KINDS.get(mark.kind)
    if kind is None:
        raise UsageError(f"{mark.place}: {mark.kind} is not a kind of block: there are {', '.join(KINDS)}")
    if not kind.least <= len(mark.arguments) <= kind.most:
        raise UsageError(f"{mark.place}: write <!-- splice: {kind.usage} -->")
    try:
        return kind.write(mark.arguments, folder)
    except UsageError as error:
        raise UsageError(f"{mark.place}: {error}") from None


def _results(arguments: Sequence[str], folder: Path) -> str:
    return tables.results_block(_run(arguments[0]), _link(arguments[0], folder), COMMAND)


def _verdict(arguments: Sequence[str], folder: Path) -> str:
    return tables.verdict(_run(arguments[0]), _link(arguments[0], folder))


def _link(run: str, folder: Path) -> str:
    """The run's folder as a document in `folder` links to it."""
    return Path(os.path.relpath(run, folder)).as_posix()


def _help(arguments: Sequence[str], _folder: Path) -> str:
    return verbs.verb_help(arguments[0]) if arguments else verbs.all_help()


KINDS: Mapping[str, Kind] = {
    "results": Kind("results FOLDER", 1, 1, _results),
    "verdict": Kind("verdict FOLDER", 1, 1, _verdict),
    "ratios": Kind(
        "ratios FOLDER [STRATEGY]", 1, 2, lambda given, _: tables.ratios(_run(given[0]), *given[1:])
    ),
    "lateness": Kind("lateness FOLDER", 1, 1, lambda given, _: tables.lateness(_run(given[0]))),
    "stages": Kind("stages FOLDER", 1, 1, lambda given, _: stage_table(_run(given[0]))),
    "help": Kind("help [VERB]", 0, 1, _help),
}


def _run(folder: str) -> Run:
    return read_run(Path(folder))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"no text {file.name} here: name a Markdown file of this repository") from None


def _tracked() -> list[Path]:
    """The Markdown files that git tracks or would, below the folder that this is run in."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.md"]
    asked = subprocess.run(listing, capture_output=True, text=True, check=False)  # noqa: S603  # git, with arguments of our own
    files = [Path(name) for name in asked.stdout.split("\0") if name]
    found = sorted({file for file in files if file.is_file()})
    if asked.returncode != 0 or not found:
        raise UsageError(
            "git names no Markdown file here: run this from the repository's root, or name files"
        )
    return found
