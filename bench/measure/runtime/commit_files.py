"""The whole tree of a commit in a folder of its own, as git checks it out: nothing is left out unsaid."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.errors import BenchError, UsageError

# set in a hook, where they name the repository that the hook is of
OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
# a sparse checkout leaves files out, and a hook is the user's own
WHOLE = ("-c", "core.hooksPath=/dev/null", "-c", "core.sparseCheckout=false", "-c", "core.fsmonitor=false")
SUBMODULE, LINK = "160000", "120000"
LARGE_FILE_POINTER = b"version https://git-lfs.github.com/spec/v1"


def git(folder: Path, verb: str, *args: str, **environment: str) -> bytes:
    """What git prints in this folder; raises BenchError with the line in which it says why it failed."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_A_HOOK}
    try:
        done = subprocess.run(  # noqa: S603  # git
            ["git", *WHOLE, verb, *args],  # noqa: S607  # as the user calls it
            cwd=folder,
            env={**kept, "LC_ALL": "C", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise BenchError(
            "there is no git here: install it, or compare with a stored run, --baseline"
        ) from None
    if done.returncode != 0:
        raise BenchError(f"git {verb} failed: {_reason(done.stderr)}")
    return done.stdout


def _reason(stderr: bytes) -> str:
    """The line that says why, of git's many, and the command that git says helps."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    why = next((line for line in lines if line.startswith("fatal:")), last)
    return f"{why}: {last}" if last.startswith("git config ") and last != why else why


def find_commit(root: Path, ref: str) -> str:
    """The whole name of a commit; raises UsageError if the repository does not have it."""
    git(root, "rev-parse", "--git-dir")
    try:
        found = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except BenchError:
        shallow = git(root, "rev-parse", "--is-shallow-repository").strip() == b"true"
        brings = "this clone is shallow, `git fetch --unshallow`" if shallow else "`git fetch`"
        raise UsageError(
            f"git knows no commit {ref}: name a branch, tag or commit that is here, {brings} brings others"
        ) from None
    return found.decode().strip()


def top_of(folder: Path) -> Path:
    """The top of the working tree around a folder; the folder itself if that is a repository without one."""
    try:
        return Path(os.fsdecode(git(folder, "rev-parse", "--show-toplevel")).rstrip("\n"))
    except BenchError:
        return folder


def write_commit(repository: Path, commit: str, folder: Path, ref: str) -> None:
    """Write all files of a commit, those of its submodules included, into the empty folder.

    Raises UsageError that names what is missing here: a submodule, a large file's content, an object.
    """
    _write(_git_folder(repository), top_of(repository), commit, folder, ref)


def _git_folder(repository: Path) -> Path:
    return Path(os.fsdecode(git(repository, "rev-parse", "--absolute-git-dir")).rstrip("\n"))


def _write(git_folder: Path, top: Path, commit: str, folder: Path, ref: str) -> None:
    """Write the files of a repository whose working tree is, or would be, at `top`."""
    with tempfile.TemporaryDirectory(prefix="bench-index-") as scratch:
        index = str(Path(scratch) / "index")
        place = {"GIT_DIR": str(git_folder), "GIT_WORK_TREE": str(folder), "GIT_INDEX_FILE": index}
        try:
            git(folder, "read-tree", "--reset", "-u", commit, **place)
        except BenchError as error:
            raise UsageError(
                f"the files of {ref} are not all here ({error}): bring what is missing with `git fetch` or "
                "`git lfs fetch`"
            ) from None
        _require_whole(folder, ref, place)
        _require_links(top, folder, ref, place)
        for path, pinned in _entries(folder, place, SUBMODULE):
            home = _home(git_folder, top, folder, path, pinned)
            if home is None:
                raise UsageError(
                    f"{ref} holds the submodule {path} at {pinned[:7]}, which is not here: bring it with "
                    f"`git submodule update --init {path}` or `git -C {path} fetch`"
                )
            _write(home, top / path, pinned, folder / path, f"{ref}'s submodule {path}")


def _require_whole(folder: Path, ref: str, place: Mapping[str, str]) -> None:
    missing = _names(git(folder, "ls-files", "-z", "--deleted", **place))
    if missing:
        raise UsageError(f"{missing[0]} of {ref} could not be written: free some space, or fetch its content")
    for name in _names(git(folder, "ls-files", "-z", ":(attr:filter=lfs)", **place)):
        file = folder / name
        if not file.is_symlink() and file.read_bytes()[: len(LARGE_FILE_POINTER)] == LARGE_FILE_POINTER:
            raise UsageError(
                f"{name} of {ref} is a pointer, its content is in git LFS: `git lfs install`, and "
                f"`git lfs fetch origin {ref}`"
            )


def _require_links(top: Path, folder: Path, ref: str, place: Mapping[str, str]) -> None:
    """Raise UsageError for a link out of the working tree that leads nowhere from a copy of it."""
    for path, _ in _entries(folder, place, LINK):
        link, end = folder / path, (top / path).resolve()
        beside = not end.is_relative_to(top) or end.is_relative_to(top / ".git")
        if link.is_symlink() and not link.exists() and beside and end.exists():
            raise UsageError(
                f"{path} of {ref} is a link to {link.readlink()}, which no commit holds: put what that is "
                "into the repository, or name it by its whole path"
            )


def _entries(folder: Path, place: Mapping[str, str], kind: str) -> Iterator[tuple[str, str]]:
    """Path and object of each entry of one kind, of the commit in the folder."""
    for entry in _names(git(folder, "ls-files", "-z", "--stage", **place)):
        facts, _, path = entry.partition("\t")
        mode, found, _ = facts.split(" ")
        if mode == kind:
            yield path, found


def _home(git_folder: Path, top: Path, folder: Path, path: str, pinned: str) -> Path | None:
    """The git folder of a submodule that has the pinned commit, None if that is not here."""
    for home in _homes(git_folder, top, folder, path):
        with contextlib.suppress(BenchError):
            place = {"GIT_DIR": str(home), "GIT_WORK_TREE": str(folder)}
            git(folder, "rev-parse", "--verify", "--quiet", f"{pinned}^{{commit}}", **place)
            return home
    return None


def _homes(git_folder: Path, top: Path, folder: Path, path: str) -> Iterator[Path]:
    """Where the git folder of a submodule may be: of head's working tree, or where git keeps it."""
    if (top / path / ".git").exists():
        yield _git_folder(top / path)
    try:
        told = git(folder, "config", "-z", "--file", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$")
    except BenchError:
        return
    for entry in _names(told):
        key, _, named = entry.partition("\n")
        home = git_folder / "modules" / key.removeprefix("submodule.").removesuffix(".path")
        if named == path and home.is_dir():
            yield home


def _names(listed: bytes) -> list[str]:
    return [name for name in os.fsdecode(listed).split("\0") if name]
