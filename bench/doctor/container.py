"""A container for a second: does its cpuset hold, can its address be reached, is it accounted for?"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.cores import format_cores, parse_cores
from bench.doctor.finding import Finding, Grade, finding, unread
from bench.measure.runtime.container import is_reachable, remove

PROJECT_LABEL = "com.docker.compose.project"
# what the services are built on, for a project whose images are not built yet
BASE_IMAGES = "python:3*"
SAY_CORES = "cat /proc/self/status; exec sleep 30"
APPEAR_S = 5.0
# no one listens there: that the connection is refused shows that packets get there
DISCARD_PORT = 9
NAMES = ("container pinning", "addresses", "accounting")


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """What a container that should run on the cores `asked` shows; None if it cannot be read.

    `missing` names the accounts that the engine does not keep: "CPU time", "memory", "throttling".
    """

    asked: tuple[int, ...]
    allowed: tuple[int, ...] | None
    reachable: bool | None
    missing: tuple[str, ...]


def image_at_hand(client: Any, project: str | None) -> str | None:
    """The smallest image of the project, else a base image, else None. Pulls nothing."""
    wanted = [{"label": f"{PROJECT_LABEL}={project}"}] if project else []
    for filters in (*wanted, {"reference": BASE_IMAGES}):
        found = client.api.images(filters=filters)
        if found:
            return str(min(found, key=lambda image: image["Size"])["Id"])
    return None


def read_container(client: Any, image: str, asked: tuple[int, ...]) -> ContainerFacts | None:
    """Run the image's shell for as long as the reading takes; None if the image has no shell."""
    import docker

    container = client.containers.create(
        image,
        entrypoint=["sh", "-c", SAY_CORES],
        command=[],
        cpuset_cpus=format_cores(asked),
        labels={"bench.role": "doctor"},
        network_mode="bridge",
    )
    try:
        container.start()
        allowed = _said_cores(container)
        stats = client.api.stats(container.id, stream=False, one_shot=True)
        networks = container.attrs["NetworkSettings"]["Networks"].values()
        addresses = [network["IPAddress"] for network in networks if network.get("IPAddress")]
        reachable = any(is_reachable(one, DISCARD_PORT) for one in addresses) if addresses else None
    except docker.errors.APIError:
        return None
    finally:
        remove(container)
    return ContainerFacts(asked, allowed, reachable, missing_accounts(stats))


def missing_accounts(stats: Mapping[str, Any]) -> tuple[str, ...]:
    """What a reading of the engine's stats lacks, of what a trial needs."""
    cpu, memory = stats.get("cpu_stats") or {}, stats.get("memory_stats") or {}
    has = {
        "CPU time": bool((cpu.get("cpu_usage") or {}).get("total_usage")),
        "memory": bool(memory.get("usage")),
        "throttling": "throttled_periods" in (cpu.get("throttling_data") or {}),
    }
    return tuple(name for name, found in has.items() if not found)


def allowed_cores(status: str) -> tuple[int, ...] | None:
    """The cores that a process may use, from its /proc/PID/status."""
    found = re.search(r"^Cpus_allowed_list:\s*([\d,-]+)$", status, re.MULTILINE)
    return parse_cores(found.group(1)) if found else None


def judge_container(facts: ContainerFacts | None, why_not: str = "") -> tuple[Finding, ...]:
    """The findings `container pinning`, `addresses` and `accounting`; `why_not`: why there are no facts."""
    if facts is None:
        return tuple(unread(name, why_not) for name in NAMES)
    return _pinning(facts), _addresses(facts.reachable), _accounting(facts.missing)


def _pinning(facts: ContainerFacts) -> Finding:
    name, asked = NAMES[0], format_cores(facts.asked)
    if facts.allowed is None:
        return unread(name, "the container does not tell on which cores it runs")
    if facts.allowed != facts.asked:
        what = f"a container for cores {asked} may use {format_cores(facts.allowed)}: the driver's too"
        return Finding(name, "bad", what, "let the engine use cpusets (the cpuset controller of its cgroups)")
    return Finding(name, "good", f"a container for cores {asked} keeps to them")


def _addresses(reachable: bool | None) -> Finding:
    name = NAMES[1]
    if reachable is None:
        return unread(name, "the container has no address of its own")
    what = "containers are reached at their own addresses, without the port proxy"
    if not reachable:
        what = "containers are reached through the engine's port proxy only: its copying is measured too"
    remedy = "run the harness on the engine's own host, in its network"
    return finding(name, "good" if reachable else "doubtful", what, remedy)


def _accounting(missing: tuple[str, ...]) -> Finding:
    if not missing:
        return Finding(NAMES[2], "good", "the engine reports CPU time, memory and throttling of containers")
    # a metric that is missing is never a pass, but throttling needs a CPU limit, which is not the default
    grade: Grade = "doubtful" if missing == ("throttling",) else "bad"
    remedy = "turn on the engine's CPU and memory cgroup controllers"
    return Finding(
        NAMES[2], grade, f"the engine does not report {' and '.join(missing)} of containers", remedy
    )


def _said_cores(container: Any) -> tuple[int, ...] | None:
    deadline = time.monotonic() + APPEAR_S
    allowed = None
    while allowed is None and time.monotonic() < deadline:
        container.reload()
        allowed = allowed_cores(container.logs().decode(errors="replace"))
        if container.status != "running":
            break
        time.sleep(0.02)
    return allowed
