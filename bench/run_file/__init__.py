"""run.json: the values of a run written atomically, and read back."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import UsageError
from bench.model import SCHEMA_VERSION, Run
from bench.run_file.json_text import file_bytes, json_from
from bench.run_file.older import OLDER_VERSIONS, upgrade
from bench.run_file.run_values import check_values

FILE_NAME = "run.json"
READABLE_VERSIONS = (*OLDER_VERSIONS, SCHEMA_VERSION)


def write_run(run: Run, folder: Path) -> None:
    """Replace the folder's run.json in one step, so that a reader never sees half of it."""
    # msgspec's own writer would turn NaN into null, which says that a figure is missing
    text = json.dumps(
        msgspec.to_builtins(run, enc_hook=_plain), indent=1, allow_nan=False, ensure_ascii=False
    )
    fresh = folder / f".{FILE_NAME}.{os.getpid()}"
    try:
        # a command line may have bytes that are not text, which no reader of JSON would take
        with fresh.open("w", encoding="utf-8", errors="replace") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / FILE_NAME)
    finally:
        fresh.unlink(missing_ok=True)


def _plain(value: Any) -> float:
    """A number of a library's own kind as a plain one; raises TypeError for anything else."""
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no place in {FILE_NAME}")


def read_run(folder: Path) -> Run:
    """Read a run's folder; raises UsageError if it holds no run of this schema or of an older one."""
    where = f"{folder.name or '.'}/{FILE_NAME}"
    try:
        raw = json_from(file_bytes(folder / FILE_NAME))
    except FileNotFoundError:
        raise UsageError(
            f"no {FILE_NAME} in {folder.resolve().name}/: name a folder that `run` wrote"
        ) from None
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"{where} cannot be read ({why}): see that it is a file that you may read") from None
    except ValueError as error:
        raise UsageError(f"{where} is not JSON ({error}): measure again") from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if type(version) is not int or version not in READABLE_VERSIONS:
        raise UsageError(
            f"{where} has schema {str(version)[:20]}, this version reads {SCHEMA_VERSION}: "
            "read it with the version that wrote it"
        )
    try:
        run = _as_run(upgrade(raw) if version in OLDER_VERSIONS else raw)
        check_values(run)
    except (msgspec.ValidationError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{where} does not fit schema {version}: {error}: restore the file, or measure again"
        ) from None
    return run


def _as_run(raw: Any) -> Run:
    """The document as a value; raises ValidationError, which names the field that does not fit."""
    run = msgspec.convert(raw, Run)
    unknown = _first_unknown(raw, msgspec.to_builtins(run), "$")
    if unknown:
        raise msgspec.ValidationError(f"a field that this schema does not have - at `{unknown}`")
    return run


def _first_unknown(raw: Any, known: Any, path: str) -> str:
    """Where `raw` has the first key that `known` lacks, which msgspec leaves out; empty if it has none."""
    if isinstance(raw, dict):
        pairs = ((f"{path}.{key}", value, key in known, known.get(key)) for key, value in raw.items())
    elif isinstance(raw, list):
        both = zip(raw, known, strict=True)
        pairs = ((f"{path}[{place}]", value, True, own) for place, (value, own) in enumerate(both))
    else:
        return ""
    for place, value, has, own in pairs:
        if not has:
            return place
        if found := _first_unknown(value, own, place):
            return found
    return ""
