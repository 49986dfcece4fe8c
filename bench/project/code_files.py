"""Modules of the user's own that a project takes along: the network's class, or a handler."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.errors import UsageError

MODULE = ".py"
PACKAGE = "__init__.py"
# what marks a folder whose modules are not the user's own
OF_OTHERS = ("pyvenv.cfg", "services/project.json")


def read_code(named: Iterable[Path]) -> dict[str, Path]:
    """The files of these modules, packages and folders of modules, by their paths in the folder of code.

    Hidden files, virtual environments, projects and what is no Python are left where they are. Raises
    UsageError for a place without modules, and for two files of one path.
    """
    found: dict[str, Path] = {}
    for place in named:
        files = dict(_modules(place))
        if not files:
            raise UsageError(
                f"{place} holds no {MODULE} file: name a module, or a folder that has modules in it"
            )
        twice = sorted(files.keys() & found.keys())
        if twice:
            raise UsageError(f"{found[twice[0]]} and {files[twice[0]]} are one module: name one of them")
        found |= files
    return found


def require_module(architecture: str | None, code: Iterable[str]) -> None:
    """Raise UsageError if the code, if there is any, has not the module that makes the network."""
    paths = tuple(code)
    if architecture is None or not paths:
        return
    top = architecture.partition(":")[0].partition(".")[0]
    if not any(path == top + MODULE or path.startswith(f"{top}/") for path in paths):
        raise UsageError(
            f"--code has no module {top}, and {architecture} makes the network: name the folder it lies in"
        )


def _modules(place: Path) -> Iterator[tuple[str, Path]]:
    """The modules below a place; a package keeps its name."""
    if place.is_file() and place.suffix == MODULE:
        yield place.name, place
    if not place.is_dir():
        return
    above = place.resolve().parent if (place / PACKAGE).is_file() else place.resolve()
    for file in sorted(place.resolve().rglob(f"*{MODULE}")):
        path = file.relative_to(above)
        hidden = any(part.startswith(".") for part in path.parts)
        if file.is_file() and not hidden and not _is_of_others(place.resolve(), file):
            yield path.as_posix(), file


def _is_of_others(place: Path, file: Path) -> bool:
    """Whether a file lies in a virtual environment below the place, or in a project of `bench init`."""
    folders = [one for one in file.parents if one.is_relative_to(place) and one != place]
    return any((one / mark).is_file() for one in folders for mark in OF_OTHERS)
