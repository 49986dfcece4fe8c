"""The docker compose command line, with the harness's override beside the project's own file."""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cores import Cores, format_cores
from bench.errors import BenchError
from bench.measure.progress import Progress
from bench.measure.runtime.conflicts import PortBusyError, busy_message
from bench.measure.runtime.image_build import BuildLines, ImageBuild, build_images
from bench.measure.runtime.process_group import kill_group
from bench.measure.runtime.registry import Registry
from bench.model import Device, Strategy

BUSY = re.compile(
    r"(?:Bind for [^\s]*?:(\d+) failed: port is already allocated"
    r"|listen tcp[46]? [^\s]*?:(\d+): bind: address already in use"
    r"|[^\s]*?:(\d+)[^\n]*address already in use)"
)
REAP_TIMEOUT_S = 60.0
# how a build is read, whatever the user likes to look at
IN_LINES = {"COMPOSE_ANSI": "never", "COMPOSE_PROGRESS": "plain", "BUILDKIT_PROGRESS": "plain"}


class ComposeCli:
    """Runs docker compose for one project; its output is kept for messages."""

    def __init__(
        self,
        registry: Registry,
        cores: Cores,
        device: Device = "auto",
        reach: str | None = None,
        passing: bool = False,
    ) -> None:
        self._registry = registry
        self._scratch = tempfile.TemporaryDirectory(prefix="bench-compose-")
        override = self.override(override_of(registry, cores, device, reach))
        # what runs is what was read: compose's own account of all the files that it takes together
        resolved = str(self.override(dict(registry.file.resolved or {})))
        read = ["docker", "compose", "--project-directory", str(registry.root.resolve()), "-f", resolved]
        # without -f compose finds the user's own files; a project that is `passing` is nobody's
        self._own = read if passing else ["docker", "compose"]
        self._with_override = [*read, "-f", str(override)]
        self._environment = {**compose_environment(registry.project), "PWD": str(registry.root.resolve())}

    def override(self, content: dict[str, object]) -> Path:
        """A file for compose to read over the project's own; it is there until `close`."""
        text = json.dumps(content)
        file = Path(self._scratch.name) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        file.write_text(text, encoding="utf-8")
        return file

    def close(self) -> None:
        """Remove the overrides."""
        self._scratch.cleanup()

    def command(self, *args: str, own: bool = False) -> list[str]:
        """The whole command line; `own` leaves the override out, as the user's own command would."""
        return [*(self._own if own else self._with_override), *args]

    def build(self, services: Sequence[str], progress: Progress) -> ImageBuild:
        """Build the services' images: a note for each, and all lines for a progress that shows them."""
        stanzas = self._registry.file.services
        built = [name for name in dict.fromkeys(services) if (stanzas.get(name) or {}).get("build")]
        return build_images(
            self.command("build", *services, own=True),
            self._registry.root,
            {**compose_environment(self._registry.project, wheels_folder()), **self._environment, **IN_LINES},
            BuildLines(built, progress.note),
            progress.output,
        )

    def run(self, *args: str, own: bool = False) -> str:
        """Run and return stdout; raises BenchError with compose's last line, or PortBusyError."""
        done = subprocess.run(  # noqa: S603  # docker, with arguments of our own
            self.command(*args, own=own),
            cwd=self._registry.root,
            env=self._environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            check=False,
        )
        if done.returncode != 0:
            raise explain(done.stderr, self._registry)
        return done.stdout

    def spawn(self, *args: str, stdin: bool = False, also: Sequence[Path] = ()) -> "subprocess.Popen[bytes]":
        """Start compose and return its process, out of Ctrl-C's reach; `also` are overrides beside ours."""
        more = [part for file in also for part in ("-f", str(file))]
        return subprocess.Popen(  # noqa: S603  # docker, with arguments of our own
            [*self._with_override, *more, *args],
            cwd=self._registry.root,
            env=self._environment,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


def explain(stderr: str, registry: Registry) -> BenchError:
    """The error that compose's output means."""
    found = BUSY.search(stderr)
    if found:
        port = int(next(group for group in found.groups() if group))
        for service in registry.services.values():
            if service.published == port:
                return PortBusyError(busy_message(port, service))
        return PortBusyError(f"port {port} is busy: stop what listens there")
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    if "No such image" in stderr or "pull access denied" in stderr:
        return BenchError(f"an image is missing ({last}): run without --no-build")
    return BenchError(f"docker compose failed: {last}")


def override_of(
    registry: Registry, cores: Cores, device: Device, reach: str | None = None
) -> dict[str, object]:
    """Pin the strategies to the service cores and keep the health check from using their time.

    They get the device that was asked for, and a GPU if there is one. With `reach`, an address of this host,
    their ports are published there too.
    """
    ours: dict[str, object] = {
        "cpuset": format_cores(cores.service),
        "healthcheck": {"disable": True},
        "restart": "no",
    }
    if device != "auto":
        ours["environment"] = {"DEVICE": device}
    services = {s.service: dict(ours) for s in registry.strategies.values()}
    for name, service in services.items():
        if device == "cuda" and not _reserves_devices(registry.file.services.get(name) or {}):
            gpus = [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
            service["deploy"] = {"resources": {"reservations": {"devices": gpus}}}
        port, published = registry.services[name].port, registry.services[name].published
        if reach and published and port:
            service["ports"] = [f"{reach}:{published}:{port}"]
    return {"services": services}


def settings_of(strategy: Strategy) -> dict[str, object]:
    """What compose must read to give a variant's service its settings, whatever its stanza says of them."""
    # compose takes a dollar sign for a variable's unless it is written twice
    told = {name: value.replace("$", "$$") for name, value in strategy.settings.items()}
    return {"services": {strategy.service: {"environment": told}}}


def _reserves_devices(stanza: Mapping[str, Any]) -> bool:
    """Whether the project's own files give a service its GPU: compose adds up what several files reserve."""
    resources = (stanza.get("deploy") or {}).get("resources") or {}
    return bool((resources.get("reservations") or {}).get("devices") or stanza.get("gpus"))


def compose_environment(project: str, wheels: str | None = None) -> dict[str, str]:
    """The environment of a compose command; `wheels` is the folder of wheels unless one is configured."""
    ours = {
        "COMPOSE_ANSI": "never",
        "COMPOSE_PROGRESS": "plain",
        **({"WHEELS_DIR": wheels} if wheels else {}),
    }
    return {**ours, **os.environ, "COMPOSE_PROJECT_NAME": project}


def wheels_folder() -> str | None:
    """pip's own find-links if it is an existing folder, so that images install from it too."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.find-links"],
        capture_output=True,
        text=True,
        check=False,
    )
    for candidate in (os.environ.get("PIP_FIND_LINKS", ""), asked.stdout.strip()):
        if candidate and Path(candidate).is_dir():
            return candidate
    return None


def reap(process: "subprocess.Popen[bytes]") -> None:
    """Let a compose process that has nothing left to do end by itself, in the background."""

    def wait() -> None:
        with contextlib.suppress(subprocess.TimeoutExpired, OSError, ValueError):
            process.communicate(timeout=REAP_TIMEOUT_S)
        stop_process(process)

    threading.Thread(target=wait, daemon=True).start()


def stop_process(process: "subprocess.Popen[bytes]") -> None:
    """End a compose process that is still running and close its pipes."""
    if process.poll() is None:
        # compose is a child of the docker command: killed alone, that would leave it at work
        kill_group(process)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
