"""Where in a git repository a project lies: continuous integration starts from the repository's top."""

import subprocess
from pathlib import Path

GIT = ".git"
# of `git check-ignore`
IGNORED = 0


def path_in_repository(folder: Path) -> str:
    """The folder as its repository names it; `.` at the top, outside any repository, and if it is ignored."""
    whole = folder.resolve()
    top = next((one for one in (whole, *whole.parents) if (one / GIT).exists()), whole)
    path = whole.relative_to(top).as_posix()
    return "." if path == "." or _is_ignored(top, path) else path


def _is_ignored(top: Path, path: str) -> bool:
    words = ["git", "-C", str(top), "check-ignore", "--quiet", "--", f"{path}/"]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == IGNORED  # noqa: S603  # git itself
    except FileNotFoundError:
        return False
