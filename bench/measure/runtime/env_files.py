"""Files of NAME=value lines, for a machine without docker compose: .env, and those that env_file names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.errors import UsageError

COMMENT = "#"


def read_env_file(path: Path) -> dict[str, str | None]:
    """The values of a file by python-dotenv's rules; None for a name alone. Raises UsageError."""
    from dotenv import dotenv_values

    try:
        return dict(dotenv_values(path, encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{path.name} cannot be read ({why}): mend or remove it") from None


def project_values(root: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The project's variables: of its .env files, and of the environment, which goes first."""
    named = environment.get("COMPOSE_ENV_FILES")
    paths = [root / one for one in named.split(",")] if named else [root / ".env"]
    values: dict[str, str] = {}
    for path in paths:
        if named or path.is_file():
            values |= {name: value for name, value in read_env_file(path).items() if value is not None}
    return {**values, **environment}


def env_file_entries(stanza: Mapping[str, Any]) -> Iterator[tuple[str, bool, bool]]:
    """A service's env_file: path, whether it must be there, whether its values are taken as they stand."""
    node = stanza.get("env_file") or ()
    for entry in [node] if isinstance(node, str | dict) else node:
        if isinstance(entry, dict):
            yield str(entry.get("path", "")), bool(entry.get("required", True)), entry.get("format") == "raw"
        else:
            yield str(entry), True, False


def service_values(stanza: Mapping[str, Any], root: Path, values: Mapping[str, str]) -> dict[str, str]:
    """What a service's env_file says: later files go first, and a name alone takes its value from outside.

    Raises UsageError for a file that is required and missing.
    """
    found: dict[str, str] = {}
    for name, required, raw in env_file_entries(stanza):
        path = root / name
        if path.is_file():
            read = _read_raw(path) if raw else read_env_file(path)
            taken = {key: values.get(key) if value is None else value for key, value in read.items()}
            found |= {key: value for key, value in taken.items() if value is not None}
        elif required:
            raise UsageError(f"the env_file {name} is missing: write it, or say `required: false` of it")
    return found


def _read_raw(path: Path) -> dict[str, str | None]:
    """NAME=value lines whose values are taken as they stand, quotes and dollar signs included."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith(COMMENT))
    return {name.strip(): value if sign else None for name, sign, value in pairs}
