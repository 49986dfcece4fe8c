"""The control groups of this process: what limits a container, or anything else that a system confines."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def folders(controller: str, root: Path = ROOT, membership: Path = MEMBERSHIP) -> Iterator[tuple[int, Path]]:
    """Yield the version, 1 or 2, and the folder of each group that this process is in, inner groups first.

    `controller` is the name of what limits, such as "cpu", in version 1.
    """
    for line in read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from ((2, folder) for folder in _ancestry(root, path))
        elif controller in controllers.split(","):
            yield from ((1, folder) for folder in _ancestry(root / controller, path))


def read(path: Path) -> str:
    """Return a file's text without blanks at its ends; "" if the file cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _ancestry(root: Path, path: str) -> list[Path]:
    """Return the folder `path` under `root` and its parents up to `root`; a container may see only `root`."""
    parts = [part for part in path.split("/") if part and part != ".."]
    return [root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
