"""run.json: the values of a run written atomically, and read back."""

import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.model import READABLE_VERSIONS, SCHEMA_VERSION, Run

FILE_NAME = "run.json"
MOST_SHOWN = 40
WORDS = {str: "a text", int: "a whole number", bool: "true or false"}


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
        run = typing.cast(Run, _build(Run, raw, "the run"))
        _of_type("settings", run.environment.get("settings", {}), dict, "an object")
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        told = f"{folder.name}/{FILE_NAME} does not fit schema {SCHEMA_VERSION}: {error}"
        raise UsageError(f"{told}: restore the file, or measure again") from None
    return run


def _build(kind: Any, raw: Any, name: str) -> Any:
    """Turn parsed JSON into the annotated kind: dataclasses, tuples, mappings and plain values.

    Raises TypeError, which says the `name` of the value, for one of another type.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if raw is None else _build(next(a for a in args if a is not type(None)), raw, name)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        values = _of_type(name, raw, dict, "an object").items()
        return kind(**{key: _build(hints[key], value, key) for key, value in values})  # type: ignore[operator]  # mypy sees an instance or a class here
    if origin is typing.Literal:
        return raw if raw in args else _refuse(name, raw, f"one of {', '.join(map(str, args))}")
    if origin is tuple:
        return tuple(_build(args[0], item, name) for item in _of_type(name, raw, list, "a list"))
    if origin in (Mapping, dict):
        found = _of_type(name, raw, dict, "an object").items()
        return {key: _build(args[1], value, f"{name}.{key}") for key, value in found}
    return raw if kind is Any else _scalar(kind, raw, name)


def _scalar(kind: Any, raw: Any, name: str) -> Any:
    """A plain value as it is; a whole number is a number too, a truth value is none."""
    if kind is float:
        number = type(raw) is int or (type(raw) is float and math.isfinite(raw))
        return raw if number else _refuse(name, raw, "a number")
    return raw if type(raw) is kind else _refuse(name, raw, WORDS[kind])


def _of_type(name: str, raw: Any, kind: type, word: str) -> Any:
    return raw if isinstance(raw, kind) else _refuse(name, raw, word)


def _refuse(name: str, raw: Any, word: str) -> typing.NoReturn:
    shown = json.dumps(raw)
    raise TypeError(
        f"{name} is {shown if len(shown) <= MOST_SHOWN else shown[:MOST_SHOWN] + '...'}, not {word}"
    )
