"""run.json: the values of a run written atomically, and read back."""

import dataclasses
import json
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.model import READABLE_VERSIONS, SCHEMA_VERSION, Run

FILE_NAME = "run.json"


def write_run(run: Run, folder: Path) -> None:
    """Replace the folder's run.json in one step, so that a reader never sees half of it."""
    text = json.dumps(dataclasses.asdict(run), indent=1, allow_nan=False)
    fresh = folder / f".{FILE_NAME}.{os.getpid()}"
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / FILE_NAME)
    finally:
        fresh.unlink(missing_ok=True)


def read_run(folder: Path) -> Run:
    """Read a run's folder; raises UsageError where it holds no run of this schema."""
    path = folder / FILE_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no {FILE_NAME} in {folder.name}/: name a folder that `bench run` wrote") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{folder.name}/{FILE_NAME} is not JSON ({error}): measure again") from None
    found = raw.get("schema_version") if isinstance(raw, dict) else None
    if found not in READABLE_VERSIONS:
        raise UsageError(
            f"{folder.name}/{FILE_NAME} has schema {found}, this version reads {SCHEMA_VERSION}: "
            "read it with the version that wrote it"
        )
    try:
        return typing.cast(Run, _build(Run, raw))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise UsageError(f"{folder.name}/{FILE_NAME} does not fit schema {SCHEMA_VERSION}: {error}") from None


def _build(kind: Any, raw: Any) -> Any:
    """Turn parsed JSON into the annotated kind: dataclasses, tuples, mappings and plain values."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if raw is None else _build(next(a for a in args if a is not type(None)), raw)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _build(hints[name], value) for name, value in raw.items()})  # type: ignore[operator]  # mypy sees an instance or a class here
    if origin is tuple:
        return tuple(_build(args[0], item) for item in raw)
    if origin in (Mapping, dict):
        return {key: _build(args[1], value) for key, value in raw.items()}
    return raw
