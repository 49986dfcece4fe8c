"""The writing of a project: all of it or nothing at first, and later only what its user has not changed."""

import json
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from bench.errors import UsageError
from bench.project.digests import Content, sha256
from bench.project.own_origin import WHEEL
from bench.project.project_files import HARNESS, MODEL, SERVICES, WRITTEN
from bench.project.project_plan import ProjectPlan

# what was written, and for whom: `--update` reads it
RECORD = f"{SERVICES}/project.json"
SCHEMA = 1
# of a folder that has nothing of its user's yet
EMPTY = frozenset({".git", ".venv"})
BESIDE = ".new"
# of a file that is written: as it will be; as it was written, or not there yet; its user's; removed by its
# user; out of the project's reach
State = Literal["same", "old", "changed", "gone", "elsewhere"]


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """What `bench init` wrote: the plan, and the digest of each file by its path."""

    plan: ProjectPlan
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update did, by path: written, removed, and left alone for its user's sake.

    `kept` has, of each file that the user changed, the new text's path beside it; `gone` are files that the
    user removed, and `elsewhere` those that lie behind a link, or have a file where a folder was.
    """

    written: tuple[str, ...]
    removed: tuple[str, ...]
    kept: Mapping[str, str]
    gone: tuple[str, ...]
    elsewhere: tuple[str, ...]


def require_empty(folder: Path) -> None:
    """Raise UsageError if the folder has files of its own."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder")
    found = sorted(one.name for one in folder.iterdir() if one.name not in EMPTY) if folder.exists() else []
    if found:
        remedy = "it is a project, renew it with --update" if is_project(folder) else "name a new folder"
        raise UsageError(f"{folder} holds {found[0]} already: {remedy}")


def is_project(folder: Path) -> bool:
    """Whether `bench init` wrote it."""
    return (folder / RECORD).is_file()


def write_new(folder: Path, plan: ProjectPlan, files: Mapping[str, Content]) -> None:
    """Write the project into a folder that is empty or not there; if it fails, nothing is left of it."""
    there = folder.is_dir()
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder if there else folder.parent, prefix=f".{plan.name}-"))
    try:
        made.chmod(0o755)
        for path, content in files.items():
            _put(made / path, content)
        _put(made / RECORD, _record_text(plan, {path: sha256(one) for path, one in files.items()}))
        if there:
            for one in sorted(made.iterdir()):
                one.rename(folder / one.name)
        else:
            made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def update(
    folder: Path, plan: ProjectPlan, files: Mapping[str, Content], brought: Collection[str] = ()
) -> Updated:
    """Write the files anew that still are as they were written; put the others' new text beside them.

    Files that their user removed stay removed, but for those `brought` now. Nothing is read or written where
    a link leads to. Raises UsageError, with nothing written, if a file that is brought would replace a
    changed one, or if the record of what was written is behind a link.
    """
    if not _is_within(folder, RECORD):
        raise UsageError(
            f"{folder / SERVICES} is a link, and nothing is written behind one: put a folder there"
        )
    before = read_record(folder).digests
    new = {path: sha256(content) for path, content in files.items()}
    states = {path: _state(folder, path, before.get(path), digest) for path, digest in new.items()}
    _require_unchanged(folder, states, brought)
    todo = [path for path, state in states.items() if state == "old" or (state == "gone" and path in brought)]
    for path in todo:
        _put(folder / path, files[path])
    kept = {
        path: _put_beside(folder, path, files[path])
        for path, state in states.items()
        if state == "changed" and new[path] != before.get(path)
    }
    unneeded = [path for path in before if path not in files and _is_replaced(path, files, brought)]
    removed = [path for path in unneeded if _state(folder, path, before[path], "") == "old"]
    for path in removed:
        (folder / path).unlink()
    digests = {path: digest for path, digest in before.items() if path not in unneeded} | new
    _put(folder / RECORD, _record_text(plan, digests))
    gone = [path for path, state in states.items() if state == "gone" and path not in brought]
    elsewhere = [path for path, state in states.items() if state == "elsewhere"]
    return Updated(tuple(todo), tuple(removed), kept, tuple(gone), tuple(elsewhere))


def _state(folder: Path, path: str, before: str | None, new: str) -> State:
    """What a file is now: `before` is the digest that was written, None if it is to be written first."""
    place = folder / path
    if not _is_within(folder, path):
        return "elsewhere"
    if place.is_symlink() or place.is_dir():
        return "changed"
    if not place.is_file():
        return "gone" if before else "old"
    now = sha256(place)
    return "same" if now == new else "old" if now == before else "changed"


def _is_within(folder: Path, path: str) -> bool:
    """Whether all folders on the way to the file are folders of the project, or not there."""
    ways = [folder / way for way in list(PurePosixPath(path).parents)[:-1]]
    return not any(way.is_symlink() or (way.exists() and not way.is_dir()) for way in ways)


def _require_unchanged(folder: Path, states: Mapping[str, State], brought: Collection[str]) -> None:
    found = [path for path in brought if states[path] in ("changed", "elsewhere")]
    if found:
        raise UsageError(
            f"{folder / found[0]} is not as bench wrote it, and would be replaced: move it away, or name "
            f"{folder / MODEL} itself if that is the model"
        )


def _put_beside(folder: Path, path: str, content: Content) -> str:
    """Write what a changed file would be into the first file beside it that is free, or has this text."""
    digest = sha256(content)
    names = (f"{path}{BESIDE}{number if number > 1 else ''}" for number in count(1))
    name = next(one for one in names if _state(folder, one, None, digest) in ("old", "same"))
    if _state(folder, name, None, digest) == "old":
        _put(folder / name, content)
    return name


def _is_replaced(path: str, files: Mapping[str, Content], brought: Collection[str]) -> bool:
    """Whether it is a source that is needed no more, another version's wheel, or another model's form."""
    kinds = [(f"{HARNESS}/", WHEEL, files), (f"{MODEL}/", "", brought)]
    return path.startswith(f"{SERVICES}/") or any(
        path.startswith(start)
        and path.endswith(end)
        and path not in WRITTEN
        and any(one.startswith(start) and one.endswith(end) for one in found)
        for start, end, found in kinds
    )


def read_record(folder: Path) -> ProjectRecord:
    """What was written there; raises UsageError if that cannot be told."""
    try:
        raw: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if raw["schema"] != SCHEMA:
            raise UsageError(f"{folder / RECORD} is of another version of bench: renew it with that one")
        plan = dict(raw["plan"])
        if plan.get("encodings") is not None:
            plan["encodings"] = tuple(plan["encodings"])
        return ProjectRecord(ProjectPlan(**plan), dict(raw["files"]))
    except FileNotFoundError:
        raise UsageError(f"{folder} has no {RECORD}: write a project with `bench init DIR`") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"{folder / RECORD} is not as bench wrote it: restore it from git") from None


def _record_text(plan: ProjectPlan, digests: Mapping[str, str]) -> bytes:
    tree = {"schema": SCHEMA, "plan": asdict(plan), "files": dict(sorted(digests.items()))}
    return (json.dumps(tree, indent=1) + "\n").encode()


def _put(place: Path, content: Content) -> None:
    """Write the file whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}-")
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                with content.open("rb") as source:
                    shutil.copyfileobj(source, file)
        made.chmod(0o755 if place.suffix == ".sh" else 0o644)
        made.replace(place)
    finally:
        made.unlink(missing_ok=True)
