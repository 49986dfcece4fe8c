"""The project's compose files as one tree: as docker compose reads them, or a plain reading without it."""

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.measure.runtime.compose_program import (
    INSTALL,
    ComposeRefusalError,
    MissingPartError,
    ask_compose,
)
from bench.measure.runtime.env_files import env_file_entries, project_values, service_values
from bench.measure.runtime.interpolation import interpolate_tree
from bench.measure.runtime.strategy_labels import check_service_name

FILE_NAME = "compose.yaml"
# in the order in which compose looks for them
FILE_NAMES = (FILE_NAME, "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
EVERYTHING = ("--profile", "*", "config", "--no-consistency", "--format", "json")
# what docker itself needs of an environment
OF_DOCKER = ("PATH", "HOME", "DOCKER_CONFIG")


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """What the project's compose files say together.

    `services` holds the stanzas with their values in place, `raw` the same before that. `active` names the
    services that run without being named. `resolved` is the whole tree as compose prints it and reads it
    again, None if compose is not here: then `note` says so. `env_files` are read beside .env.
    """

    project: str
    services: Mapping[str, Any]
    raw: Mapping[str, Any]
    active: frozenset[str]
    env_files: tuple[Path, ...]
    resolved: Mapping[str, Any] | None = None
    note: str = ""


def read_compose_file(root: Path, environment: Mapping[str, str] | None = None) -> ComposeFile:
    """Read the compose files of the folder `root`; raises UsageError if they are missing or unusable."""
    given = dict(os.environ) if environment is None else dict(environment)
    ours = {name: os.environ[name] for name in OF_DOCKER if name in os.environ}
    _require_file(root, given)
    try:
        return _by_compose(root, {**ours, **given}, _as_written(root, given))
    except ComposeRefusalError as error:
        for name in _as_written(root, given):
            check_service_name(name)
        what = "is not YAML" if str(error).startswith("yaml:") else "cannot be used, docker compose says"
        raise UsageError(f"{FILE_NAME} {what}: {error}") from None
    except MissingPartError as error:
        return _plainly(root, given, error)


def _as_written(root: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """The stanzas before compose replaces variables in them: of files that only compose can read, none."""
    import yaml

    found: dict[str, Any] = {}
    usual = [name for name in FILE_NAMES if (root / name).is_file()][:1]
    over = [name for name in OVERRIDES if (root / name).is_file()][:1]
    for name in named_files(project_values(root, environment)) or [*usual, *over]:
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError, RecursionError):
            tree = yaml.safe_load((root / name).read_text(encoding="utf-8"))
            services = tree.get("services") if isinstance(tree, dict) else None
            for service, stanza in services.items() if isinstance(services, dict) else ():
                found[str(service)] = {
                    **found.get(str(service), {}),
                    **(stanza if isinstance(stanza, dict) else {}),
                }
    return found


def resolve(root: Path, environment: Mapping[str, str], project: str | None = None) -> dict[str, Any]:
    """The whole tree, by default under its own project name; raises ComposeRefusalError, MissingPartError."""
    text = ask_compose(*EVERYTHING, folder=root, environment=environment, project=project)
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        raise MissingPartError("docker compose here prints no JSON", INSTALL) from None


def _by_compose(root: Path, environment: Mapping[str, str], written: Mapping[str, Any]) -> ComposeFile:
    tree = resolve(root, environment)
    services = tree.get("services") or {}
    if not services:
        raise UsageError(f"{FILE_NAME} has no services: it registers nothing to measure")
    active = frozenset(services)
    if any(stanza.get("profiles") for stanza in services.values()):
        named = ask_compose("config", "--no-consistency", "--services", folder=root, environment=environment)
        active = frozenset(named.split())
    return ComposeFile(
        project=str(tree.get("name")),
        services=_undo_escapes(services),
        raw=written,
        active=active,
        env_files=_env_files(written, root),
        resolved=tree,
    )


def of_resolved(tree: Mapping[str, Any], before: ComposeFile) -> ComposeFile:
    """The files as another tree says, of which `before` was made."""
    return replace(
        before, project=str(tree["name"]), services=_undo_escapes(tree["services"]), raw={}, resolved=tree
    )


def _undo_escapes(node: Any) -> Any:
    """What compose prints is a compose file, in which a dollar sign is written twice."""
    if isinstance(node, str):
        return node.replace("$$", "$")
    if isinstance(node, dict):
        return {key: _undo_escapes(value) for key, value in node.items()}
    return [_undo_escapes(value) for value in node] if isinstance(node, list) else node


def _plainly(root: Path, environment: Mapping[str, str], missing: MissingPartError) -> ComposeFile:
    """One compose file without compose's merging; raises UsageError if there is something to merge."""
    values = project_values(root, environment)
    path = _only_file(root, values, missing)
    raw = _parse(path)
    services = {name: stanza or {} for name, stanza in raw["services"].items()}
    extended = [name for name, stanza in services.items() if "extends" in stanza]
    if extended or raw.get("include"):
        word = f"{extended[0]} extends another service" if extended else "it includes other files"
        raise _only_compose(f"{path.name}: {word}", missing)
    tree = interpolate_tree(raw, values)
    whole = {name: _with_env_file(stanza or {}, root, values) for name, stanza in tree["services"].items()}
    asked = {name.strip() for name in values.get("COMPOSE_PROFILES", "").split(",")}
    active = frozenset(
        name
        for name, stanza in whole.items()
        if not (wanted := _profiles(stanza)) or wanted & asked or "*" in asked
    )
    name = values.get("COMPOSE_PROJECT_NAME") or tree.get("name") or root.resolve().name.lower()
    return ComposeFile(
        project=re.sub(r"[^a-z0-9_-]", "", str(name)),
        services=whole,
        raw=services,
        active=active,
        env_files=_env_files(whole, root),
        note=f"{missing.what}, so {path.name} is read without it, and .env by python-dotenv's rules: "
        f"{INSTALL}",
    )


def _with_env_file(stanza: Mapping[str, Any], root: Path, values: Mapping[str, str]) -> dict[str, Any]:
    """The stanza with what its env_file says in its environment, which goes first."""
    own = as_mapping(stanza.get("environment"), values)
    return {**stanza, "environment": {**service_values(stanza, root, values), **own}}


def as_mapping(node: Any, values: Mapping[str, str]) -> dict[str, str]:
    """Labels or environment, written as a mapping or a list; a null takes its value from outside."""
    if isinstance(node, list):
        pairs = [str(item).partition("=") for item in node]
        node = {name: value if sign else None for name, sign, value in pairs}
    result = {}
    for name, value in (node or {}).items():
        if value is None:
            value = values.get(name)
        if value is not None:
            result[str(name)] = str(value).lower() if isinstance(value, bool) else str(value)
    return result


def _profiles(stanza: Mapping[str, Any]) -> set[str]:
    node = stanza.get("profiles") or ()
    return {node} if isinstance(node, str) else set(map(str, node))


def _env_files(services: Mapping[str, Any], root: Path) -> tuple[Path, ...]:
    """The files that env_file names, and that are there."""
    named = (root / path for stanza in services.values() for path, _, _ in env_file_entries(stanza or {}))
    return tuple(dict.fromkeys(path for path in named if path.is_file()))


def named_files(values: Mapping[str, str]) -> list[str]:
    """The files that COMPOSE_FILE names."""
    separator = values.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
    return [name for name in values.get("COMPOSE_FILE", "").split(separator) if name]


def _require_file(root: Path, environment: Mapping[str, str]) -> None:
    """Raise UsageError if the folder has no compose file: compose would look in the folders above it."""
    if not any((root / name).is_file() for name in FILE_NAMES) and not named_files(
        project_values(root, environment)
    ):
        raise UsageError(f"no {FILE_NAME} here: run where it is, or name its folder with --root")


def _only_file(root: Path, values: Mapping[str, str], missing: MissingPartError) -> Path:
    """The one compose file; raises UsageError if there are several, or if it is not there."""
    named = named_files(values)
    over = [] if named else [name for name in OVERRIDES if (root / name).is_file()]
    if len(named) > 1 or over:
        raise _only_compose(
            f"COMPOSE_FILE names {len(named)} files" if named else f"{over[0]} is here", missing
        )
    found = [root / name for name in named or FILE_NAMES if (root / name).is_file()]
    if not found:
        raise UsageError(f"COMPOSE_FILE names {named[0]}, which is not there: name another")
    return found[0]


def _only_compose(what: str, missing: MissingPartError) -> UsageError:
    return UsageError(
        f"{what}, and only docker compose can merge that: {missing.what}, {INSTALL}, or name one whole file "
        "with COMPOSE_FILE"
    )


def _parse(path: Path) -> dict[str, Any]:
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from None
    except ValueError:
        raise UsageError(f"{path.name} is not UTF-8: write it so") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("services"), dict):
        raise UsageError(f"{path.name} has no services: it registers nothing to measure")
    return raw
