"""compose.yaml as the registry: its labels say which services are strategies and which support them."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.measure.runtime.compose_file import FILE_NAME, ComposeFile, as_mapping, read_compose_file
from bench.measure.runtime.interpolation import interpolate
from bench.measure.runtime.quality_label import LABEL, quality_of_text
from bench.measure.runtime.strategy_labels import check_labels
from bench.model import EXACT, Device, Strategy
from bench.model.from_outside import decimal_number, whole_number
from bench.request_sets.encodings import split_names

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)[^{}]*\}")


@dataclass(frozen=True, slots=True)
class ComposeService:
    """A compose service, as far as a runtime needs it.

    `role` is "strategy", "support" (runs throughout) or "setup" (runs once, must exit 0). `port` is the
    container's port, `published` the loopback port it appears on, `port_variable` the environment variable
    that moves it. `writable` holds the container paths on tmpfs, `mounts` (container path, source) pairs.
    With `profiles` it is there only for whoever names it. `cache` is the container's folder for models,
    `context` that from which its image is built, and `code` that of the user's own modules which the image
    gets, both relative to the project's.
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
    context: str = "."
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """What the compose files register: strategies by name, and all services by their compose names."""

    root: Path
    project: str
    strategies: Mapping[str, Strategy]
    services: Mapping[str, ComposeService]
    file: ComposeFile

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

    def service_of(self, strategy: Strategy) -> ComposeService:
        """The strategy's service, with the settings that the strategy has instead of its stanza's."""
        service = self.services[strategy.service]
        return replace(service, environment={**service.environment, **strategy.settings})

    def image_name(self, service: str) -> str:
        """The name of the image that compose takes for a service, whether or not it is built."""
        stanza = self.file.services.get(service) or {}
        return str(stanza.get("image") or f"{self.project}-{service}")

    def support(self, strategies: Sequence[Strategy]) -> tuple[ComposeService, ...]:
        """What these strategies need beside themselves, in the order in which it must start.

        That is what they depend on, and whatever no strategy depends on.
        """
        chosen = self._needed(self.services[strategy.service] for strategy in strategies)
        of_strategies = self._needed(s for s in self.services.values() if s.role == "strategy")
        return tuple(
            service
            for name, service in self._needed(self.services.values()).items()
            if name in chosen or name not in of_strategies
        )

    def _needed(self, services: Iterable[ComposeService]) -> dict[str, ComposeService]:
        """These and all that they depend on, but the strategies, each after what it depends on."""
        ordered: dict[str, ComposeService] = {}

        def visit(service: ComposeService, above: tuple[str, ...]) -> None:
            if service.name in above:
                raise UsageError(f"{FILE_NAME}: {service.name} depends on itself: break the circle")
            for name in service.depends_on:
                if name in self.services:
                    visit(self.services[name], (*above, service.name))
            if service.role != "strategy":
                ordered.setdefault(service.name, service)

        for service in services:
            visit(service, ())
        return ordered


def load_registry(root: Path, environment: Mapping[str, str] | None = None) -> Registry:
    """Read the compose files of `root`; raises UsageError if they are missing or their labels not usable."""
    return registry_of(root, read_compose_file(root, environment))


def without_services(root: Path) -> Registry:
    """A registry that has nothing, for a folder that need not have a compose.yaml."""
    return Registry(root, "", {}, {}, ComposeFile("", {}, {}, frozenset(), ()))


def registry_of(root: Path, file: ComposeFile) -> Registry:
    """What the compose files register; raises UsageError if their labels are not usable."""
    services: dict[str, ComposeService] = {}
    strategies: dict[str, Strategy] = {}
    for name, stanza in file.services.items():
        labels = as_mapping(stanza.get("labels"), {})
        role = "strategy" if "bench.strategy" in labels else labels.get("bench.role", "")
        if role not in ("strategy", "support", "setup"):
            continue
        service = _service(name, role, stanza, labels, file.raw.get(name) or {})
        services[name] = replace(service, profiles=()) if name in file.active else service
        if role == "strategy":
            strategy = _strategy(name, labels)
            if strategy.name in strategies:
                other = strategies[strategy.name].service
                raise UsageError(
                    f"{FILE_NAME}: {other} and {name} have the same label bench.strategy, {strategy.name}: "
                    "choose another name for one of them"
                )
            strategies[strategy.name] = strategy
    if not strategies:
        raise UsageError(f"{FILE_NAME} registers no strategy: label a service with bench.strategy")
    return Registry(root, file.project, strategies, services, file)


def _strategy(service: str, labels: Mapping[str, str]) -> Strategy:
    loop, settings = labels.get("bench.loop"), labels.get("bench.settings")
    check_labels(service, labels)
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
        keeps_model=bool(labels.get("bench.cache")),
        model=labels.get("bench.model", "model"),
        tolerance=_tolerance_label(service, labels),
        settings_command=tuple(shlex.split(settings)) if settings else None,
        quality=quality_of_text(labels.get(LABEL, "exact")) or EXACT,
    )


def _tolerance_label(service: str, labels: Mapping[str, str]) -> float | None:
    """How far the service's probabilities may be off; None if the run says so."""
    text = labels.get("bench.tolerance")
    if text is None:
        return None
    value = tolerance_of_text(text)
    if value is None:
        raise UsageError(
            f"{FILE_NAME}: {service}'s label bench.tolerance is {text[:20]!r}: "
            'write a number from 0 to 1, such as "0.02"'
        )
    return value


def tolerance_of_text(text: str) -> float | None:
    """A tolerance of answers from 0 to 1; None if the text is none."""
    value = decimal_number(text)
    return value if value is not None and value <= 1 else None


def _service(
    name: str, role: str, stanza: Mapping[str, Any], labels: Mapping[str, str], raw: Mapping[str, Any]
) -> ComposeService:
    port = _port_label(name, labels, required=role == "strategy")
    published = _published(port, stanza.get("ports") or ())
    command, build = stanza.get("command") or (), stanza.get("build")
    build = build if isinstance(build, dict) else {"context": build}
    return ComposeService(
        name=name,
        role=role,
        command=tuple(shlex.split(command)) if isinstance(command, str) else tuple(map(str, command)),
        environment=as_mapping(stanza.get("environment"), {}),
        depends_on=tuple(stanza.get("depends_on") or ()),
        port=port,
        published=published,
        port_variable=_port_variable(published, raw.get("ports") or ()),
        ready_path=labels.get("bench.ready"),
        writable=tuple(str(item).split(":")[0] for item in _list(stanza.get("tmpfs"))),
        mounts=tuple(_mounts(stanza.get("volumes") or ())),
        profiles=tuple(map(str, _list(stanza.get("profiles")))),
        cache=labels.get("bench.cache") or None,
        context=_folder(build.get("context")) or ".",
        code=_folder(as_mapping(build.get("additional_contexts"), {}).get("code")),
    )


def _folder(named: Any) -> str | None:
    """The folder that a context of a build names; None if it is another place, or none is named."""
    text = str(named or "")
    return None if not text or "://" in text or text.startswith("git@") else text


def _port_label(service: str, labels: Mapping[str, str], *, required: bool) -> int | None:
    text = labels.get("bench.port")
    if text is None and not required:
        return None
    port = whole_number(text or "")
    if port is None or not 0 < port < 65_536:
        raise UsageError(f'{FILE_NAME}: {service} needs the label bench.port: "8080" (its container port)')
    return port


def _published(port: int | None, ports: Sequence[Any]) -> int | None:
    """The port of this host on which a container port is published."""
    for entry in ports:
        if isinstance(entry, dict):
            target, published = str(entry.get("target")), str(entry.get("published"))
        else:
            _, published, target = ("", "", *str(entry).split("/")[0].rsplit(":", 2))[-3:]
        outside = whole_number(published)
        if port is not None and target == str(port) and outside is not None:
            return outside
    return None


def _port_variable(published: int | None, raw_ports: Sequence[Any]) -> str | None:
    """The variable that moves a published port, as the ports stand before their variables are replaced."""
    for entry in raw_ports if published else ():
        if isinstance(entry, dict):
            part = str(entry.get("published"))
        else:
            # a variable may hold colons of its own
            parts = VARIABLE.sub(lambda found: found.group().replace(":", "\0"), str(entry)).split(":")
            part = parts[-2].replace("\0", ":") if len(parts) > 1 else ""
        found = VARIABLE.fullmatch(part)
        if found and (not (usual := interpolate(part, {found[1]: ""})) or usual.isdigit()):
            return found[1]
    return None


def _mounts(volumes: Sequence[Any]) -> Iterable[tuple[str, str]]:
    for volume in volumes:
        if isinstance(volume, dict):
            yield str(volume.get("target", "")), str(volume.get("source", ""))
        else:
            source, _, rest = str(volume).partition(":")
            yield rest.split(":")[0], source


def _list(node: Any) -> list[Any]:
    return [node] if isinstance(node, str) else list(node or ())


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
