"""compose.yaml as the registry: its labels say which services are strategies and which support them."""

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.measure.payloads import split_names
from bench.model import Device, Strategy

FILE_NAME = "compose.yaml"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPERATOR = re.compile(r":?[-+?]")


@dataclass(frozen=True, slots=True)
class ComposeService:
    """A compose service, as far as a runtime needs it.

    `role` is "strategy", "support" (runs throughout) or "setup" (runs once, must exit 0). `port` is the
    container's port, `published` the loopback port it appears on, `port_variable` the environment variable
    that moves it. `writable` holds the container paths on tmpfs, `mounts` (container path, source) pairs.
    With `profiles` it is there only for whoever names it. `cache` is the container's folder for models.
    """

    name: str
    role: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    depends_on: tuple[str, ...]
    port: int | None
    published: int | None
    port_variable: str | None
    ready_path: str | None
    writable: tuple[str, ...]
    mounts: tuple[tuple[str, str], ...]
    profiles: tuple[str, ...]
    cache: str | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """What compose.yaml registers: strategies by name, and all services by their compose names."""

    root: Path
    project: str
    strategies: Mapping[str, Strategy]
    services: Mapping[str, ComposeService]

    def select(self, names: Iterable[str] | None) -> tuple[Strategy, ...]:
        """The named strategies, in the registry's order; for None all without profiles. Raises UsageError."""
        if names is None:
            default = [s for s in self.strategies.values() if not self.services[s.service].profiles]
            if not default:
                named = ",".join(self.strategies)
                raise UsageError(
                    f"all strategies in {FILE_NAME} have profiles: name some, --strategies {named}"
                )
            return tuple(default)
        wanted = list(names)
        unknown = [name for name in wanted if name not in self.strategies]
        if unknown:
            known = ", ".join(self.strategies) or "none"
            raise UsageError(f"unknown strategy {', '.join(unknown)}: {FILE_NAME} registers {known}")
        return tuple(s for s in self.strategies.values() if s.name in wanted)

    def support(self) -> tuple[ComposeService, ...]:
        """Support and setup services in the order in which they must start."""
        ordered: dict[str, ComposeService] = {}

        def visit(service: ComposeService, above: tuple[str, ...]) -> None:
            if service.name in above:
                raise UsageError(f"{FILE_NAME}: {service.name} depends on itself: break the circle")
            for name in service.depends_on:
                if name in self.services:
                    visit(self.services[name], (*above, service.name))
            if service.role != "strategy":
                ordered.setdefault(service.name, service)

        for service in self.services.values():
            visit(service, ())
        return tuple(ordered.values())


def load_registry(root: Path, environment: Mapping[str, str] | None = None) -> Registry:
    """Read root/compose.yaml; raises UsageError if it is missing or its labels are not usable."""
    import yaml

    path = root / FILE_NAME
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"no {FILE_NAME} here: run from the repository's root, or name it with --root"
        ) from None
    except yaml.YAMLError as error:
        raise UsageError(f"{FILE_NAME} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("services"), dict):
        raise UsageError(f"{FILE_NAME} has no services: it registers nothing to measure")
    values = {**_dot_env(root), **(os.environ if environment is None else environment)}
    tree = interpolate_tree(raw, values)
    services, strategies = {}, {}
    for name, stanza in tree["services"].items():
        labels = _mapping(stanza.get("labels"), values)
        role = "strategy" if "bench.strategy" in labels else labels.get("bench.role", "")
        if role not in ("strategy", "support", "setup"):
            continue
        services[name] = _service(name, role, stanza, labels, values, raw["services"][name])
        if role == "strategy":
            strategy = _strategy(name, labels)
            if "@" in strategy.name:
                raise UsageError(
                    f"{FILE_NAME}: {name}'s label bench.strategy is {strategy.name}: choose a name without "
                    "@, which stands for another commit's"
                )
            strategies[strategy.name] = strategy
    if not strategies:
        raise UsageError(f"{FILE_NAME} registers no strategy: label a service with bench.strategy")
    return Registry(root, _project(tree, root, values), strategies, services)


def _strategy(service: str, labels: Mapping[str, str]) -> Strategy:
    loop = labels.get("bench.loop")
    try:
        encodings = split_names(labels.get("bench.payloads", "json"))
    except UsageError as error:
        raise UsageError(f"{FILE_NAME}: {service}'s label bench.payloads: {error}") from None
    return Strategy(
        name=labels["bench.strategy"],
        title=labels.get("bench.title", labels["bench.strategy"]),
        service=service,
        port=_port_label(service, labels, required=True) or 0,
        path=labels.get("bench.path", "/predict/"),
        ready_path=labels.get("bench.ready", "/v2/health/ready"),
        encodings=encodings,
        loop_command=tuple(shlex.split(loop)) if loop else None,
        devices=tuple(part.strip() for part in labels.get("bench.devices", "cpu").split(",")),
        keeps_model="bench.cache" in labels,
        model=labels.get("bench.model", "model"),
        tolerance=_tolerance_label(service, labels),
    )


def _tolerance_label(service: str, labels: Mapping[str, str]) -> float | None:
    """How far the service's probabilities may be off; None if the run says so."""
    text = labels.get("bench.tolerance")
    if text is None:
        return None
    value = tolerance_of_text(text)
    if value is None:
        raise UsageError(
            f"{FILE_NAME}: {service}'s label bench.tolerance is {text}: "
            'write a number from 0 to 1, such as "0.02"'
        )
    return value


def tolerance_of_text(text: str) -> float | None:
    """A tolerance of answers from 0 to 1; None if the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _service(
    name: str,
    role: str,
    stanza: Mapping[str, Any],
    labels: Mapping[str, str],
    values: Mapping[str, str],
    raw: Mapping[str, Any],
) -> ComposeService:
    port = _port_label(name, labels, required=role == "strategy")
    published, variable = _published(port, stanza.get("ports") or (), raw.get("ports") or (), values)
    command = stanza.get("command") or ()
    return ComposeService(
        name=name,
        role=role,
        command=tuple(shlex.split(command)) if isinstance(command, str) else tuple(map(str, command)),
        environment=_mapping(stanza.get("environment"), values),
        depends_on=tuple(stanza.get("depends_on") or ()),
        port=port,
        published=published,
        port_variable=variable,
        ready_path=labels.get("bench.ready"),
        writable=tuple(str(item).split(":")[0] for item in _list(stanza.get("tmpfs"))),
        mounts=tuple(_mounts(stanza.get("volumes") or ())),
        profiles=tuple(map(str, _list(stanza.get("profiles")))),
        cache=labels.get("bench.cache"),
    )


def _port_label(service: str, labels: Mapping[str, str], *, required: bool) -> int | None:
    text = labels.get("bench.port")
    if text is None and not required:
        return None
    if text is None or not text.isdigit():
        raise UsageError(f'{FILE_NAME}: {service} needs the label bench.port: "8080" (its container port)')
    return int(text)


def _published(
    port: int | None, ports: Sequence[Any], raw_ports: Sequence[Any], values: Mapping[str, str]
) -> tuple[int | None, str | None]:
    """The loopback port on which a container port is published, and the variable that sets it."""
    for text, raw in zip(ports, raw_ports, strict=True):
        parts = str(text).split("/")[0].rsplit(":", 2)
        if port is None or len(parts) < 2 or parts[-1] != str(port) or not parts[-2].isdigit():
            continue
        names = re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)[^{}]*\}", str(raw))
        mine = [name for name in names if interpolate(_form(str(raw), name), values) == parts[-2]]
        return int(parts[-2]), mine[0] if mine else None
    return None, None


def _form(raw: str, name: str) -> str:
    """The ${NAME…} of a variable as it stands in the raw text."""
    found = re.search(r"\$\{" + name + r"[^{}]*\}", raw)
    return found.group() if found else ""


def _mounts(volumes: Sequence[Any]) -> Iterable[tuple[str, str]]:
    for volume in volumes:
        if isinstance(volume, dict):
            yield str(volume.get("target", "")), str(volume.get("source", ""))
        else:
            source, _, rest = str(volume).partition(":")
            yield rest.split(":")[0], source


def _mapping(node: Any, values: Mapping[str, str]) -> dict[str, str]:
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


def _list(node: Any) -> list[Any]:
    return [node] if isinstance(node, str) else list(node or ())


def _dot_env(root: Path) -> dict[str, str]:
    """NAME=value lines of the project's .env, which compose reads too."""
    path = root / ".env"
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, sign, value in pairs if sign}


def _project(tree: Mapping[str, Any], root: Path, values: Mapping[str, str]) -> str:
    """The compose project's name, as compose determines it."""
    name = values.get("COMPOSE_PROJECT_NAME") or tree.get("name") or root.resolve().name.lower()
    return re.sub(r"[^a-z0-9_-]", "", str(name))


def able_to(strategies: Sequence[Strategy], device: Device, *, named: bool) -> tuple[Strategy, ...]:
    """The strategies that compute on the device.

    Raises UsageError if a strategy that cannot was `named`, or if none is left.
    """
    able = tuple(s for s in strategies if device == "auto" or device in s.devices)
    unable = ", ".join(s.name for s in strategies if s not in able)
    if named and unable:
        raise UsageError(
            f"{unable} cannot compute on {device}: leave it out of --strategies, choose another --device, or "
            f"label its service with bench.devices: {device} if it can"
        )
    if not able:
        raise UsageError(
            f"no strategy computes on {device}: label one that does with bench.devices: {device}"
        )
    return able


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Replace ${NAME}, $NAME, ${NAME:-default}, :+, :? and the forms without colon; $$ is one dollar sign.

    Defaults may hold further ${…}. Raises UsageError for a form that compose would refuse.
    """
    result, position = [], 0
    while True:
        dollar = text.find("$", position)
        if dollar < 0 or dollar + 1 == len(text):
            result.append(text[position:])
            return "".join(result)
        result.append(text[position:dollar])
        following = text[dollar + 1]
        plain = NAME.match(text, dollar + 1)
        if following == "$":
            result.append("$")
            position = dollar + 2
        elif following == "{":
            end = _closing_brace(text, dollar + 1)
            result.append(_expand(text[dollar + 2 : end], environment))
            position = end + 1
        elif plain:
            result.append(environment.get(plain.group(), ""))
            position = plain.end()
        else:
            raise UsageError(f"compose.yaml: {text!r} holds a lone $: write $$ for a dollar sign")


def interpolate_tree(node: Any, environment: Mapping[str, str]) -> Any:
    """Interpolate every string value of parsed YAML; keys stay as they are."""
    if isinstance(node, str):
        return interpolate(node, environment)
    if isinstance(node, dict):
        return {key: interpolate_tree(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolate_tree(value, environment) for value in node]
    return node


def _closing_brace(text: str, opening: int) -> int:
    depth = 0
    for index in range(opening, len(text)):
        if text[index] == "{" and text[index - 1] == "$":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    raise UsageError(f"compose.yaml: {text!r} has a ${{ that is never closed: add the brace")


def _expand(inside: str, environment: Mapping[str, str]) -> str:
    """The value of the text between ${ and }."""
    name = NAME.match(inside)
    if name is None:
        raise UsageError(f"compose.yaml: ${{{inside}}} names no variable")
    value, rest = environment.get(name.group()), inside[name.end() :]
    if not rest:
        return value or ""
    operator = OPERATOR.match(rest)
    if operator is None:
        raise UsageError(f"compose.yaml: ${{{inside}}} is not a form that compose knows")
    alternative = rest[operator.end() :]
    present = bool(value) if operator.group().startswith(":") else value is not None
    kind = operator.group()[-1]
    if kind == "+":
        return interpolate(alternative, environment) if present else ""
    if present:
        return value or ""
    if kind == "-":
        return interpolate(alternative, environment)
    raise UsageError(f"compose.yaml needs {name.group()}: {alternative or 'set it in the environment'}")
