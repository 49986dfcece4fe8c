"""A folder of this machine that only this user writes to, for what several runs must share."""

import os
import stat
import tempfile
from pathlib import Path

from bench.errors import BenchError

OTHERS = stat.S_IRWXG | stat.S_IRWXO
FOLDER_ONLY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def open_own(name: str) -> int:
    """A descriptor of the file of this name in the user's own folder, made if it is not there, never emptied.

    No link is followed. Raises BenchError if there is no such folder, or if the file is none.
    """
    folder = _open_folder()
    try:
        found = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=folder)
    except OSError as error:
        raise BenchError(f"{name} in {own_folder()} cannot be opened ({error.strerror}): remove it") from None
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise BenchError(f"{name} in {own_folder()} is not a file: remove it")
    return found


def own_folder() -> Path:
    """The session's folder for running programs, or else one of our own among the temporary files."""
    user = os.getuid()
    for text in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{user}"):
        if text and _is_ours(Path(text)):
            return Path(text)
    return Path(tempfile.gettempdir()) / f"bench-{user}"


def _open_folder() -> int:
    path = own_folder()
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(path, FOLDER_ONLY)
    except OSError as error:
        raise BenchError(f"{path} cannot be used ({error.strerror}): {_remedy(path)}") from None
    if not _is_private(os.fstat(folder)):
        os.close(folder)
        raise BenchError(f"{path} is not this user's alone: {_remedy(path)}")
    return folder


def _is_ours(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return _is_private(found) and os.access(path, os.W_OK)


def _is_private(found: os.stat_result) -> bool:
    """Whether it is a folder, no link, that no other user may look into or write to."""
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & OTHERS


def _remedy(path: Path) -> str:
    return f"remove {path}, or name a folder of your own with XDG_RUNTIME_DIR (mode 700)"
