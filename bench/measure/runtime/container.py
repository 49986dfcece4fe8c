"""One strategy in a container: the way into it, and what the engine tells of it and of itself."""

import contextlib
import dataclasses
import re
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from bench.cores import Cores
from bench.measure.machine.process_memory import Mapped, mapped_by
from bench.measure.machine.process_tree import tree
from bench.measure.machine.usage import Usage
from bench.measure.runtime.instance import DockerFacts, StrategyStartError
from bench.measure.runtime.log_lines import last_words
from bench.model import PLAIN, Doubt

HTTP_CONFLICT = 409
PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
# what is lost on a busy machine is sent again after one, three and seven seconds
REACH_TIMEOUT_S = 8.0
# a way that earlier starts took is closed only after so long: the network of a container may come up late
CLOSED_AFTER_S = 30.0
REACH_AGAIN_S = 0.5
NOT_SEEN = Mapped()
FRACTION = re.compile(r"\.(\d+)")


class ContainerInstance:
    """A running container; its times come from the engine's own record."""

    access = PLAIN
    cores: tuple[int, ...] | None = None

    def __init__(
        self,
        container: Any,
        created_ns: int,
        running_ns: int,
        host: str,
        port: int,
        kind: str,
        cache: str | None = None,
    ) -> None:
        self._container = container
        self._api = container.client.api
        self.created_ns, self.running_ns = created_ns, running_ns
        self.host, self.port, self.address_kind = host, port, kind
        self.image_id = str(container.attrs["Image"])
        self.model_cache = model_cache(container.attrs, cache)
        self.pid = int(container.attrs["State"].get("Pid") or 0)
        self.here = runs_here(self.pid, str(container.id))
        self._peak_file = peak_file(self.pid, str(container.id))

    def usage(self) -> Usage:
        """CPU, working set and throttling from the container's accounting."""
        before = time.monotonic_ns()
        stats = self._api.stats(self._container.id, stream=False, one_shot=True)
        at_ns = (before + time.monotonic_ns()) // 2
        usage = read_stats(stats, at_ns, mapped_by(tree(self.pid)) if self.here else NOT_SEEN)
        if usage.peak_bytes is None and self._peak_file is not None:
            usage = dataclasses.replace(usage, peak_bytes=_read_number(self._peak_file))
        return usage

    def alive(self) -> bool:
        """Say whether the container runs."""
        import docker

        try:
            self._container.reload()
        except docker.errors.DockerException:
            return False
        return bool(self._container.attrs["State"]["Running"])

    def fate(self) -> tuple[Doubt, ...]:
        """OOM kill, restarts or exit, as the engine tells them."""
        import docker

        with contextlib.suppress(docker.errors.DockerException, OSError):
            self._container.reload()
        state = self._container.attrs["State"]
        found = []
        if state.get("OOMKilled"):
            killed = "the container ran out of memory and was killed"
            remedy = "give the container more memory, or less load"
            found.append(Doubt("out_of_memory", killed, remedy, voids=True, cause="service"))
        if self._container.attrs.get("RestartCount"):
            again = f"the container was restarted {self._container.attrs['RestartCount']} times"
            found.append(Doubt("restarted", again, "see the service's log", voids=True, cause="service"))
        if not state.get("Running"):
            ended = f"the container exited with {state.get('ExitCode')}"
            found.append(Doubt("exited", ended, "see the service's log", voids=True, cause="service"))
        return tuple(found)

    def log_tail(self) -> str:
        """The last line of the container's output."""
        import docker

        try:
            return last_words(self._container.logs(tail=20).decode(errors="replace"))
        except docker.errors.DockerException:
            return ""

    def stop(self) -> None:
        """Remove the container; nothing is in flight when this is called."""
        remove(self._container)


def remove(container: Any) -> None:
    """Remove a container by force; one that is gone already is no error."""
    import docker

    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        # the engine's answer if it is already removing the container
        if error.status_code != HTTP_CONFLICT:
            raise


def read_stats(stats: dict[str, Any], at_ns: int, mapped: Mapped = NOT_SEEN) -> Usage:
    """One reading of the engine's stats, of either cgroup version.

    The working set is what is in use less file cache, plus the files that processes map. A file that was
    read twice is *active* cache, and could go at once as well. What lies in a tmpfs or is shared memory is in
    use and no file cache. `mapped` is what the container's processes map, if they can be seen.
    """
    cpu = stats["cpu_stats"]
    memory = stats.get("memory_stats") or {}
    cache, mapped_files = file_bytes(memory.get("stats") or {}, mapped)
    peak = memory.get("max_usage")
    networks = list((stats.get("networks") or {}).values())
    return Usage(
        at_ns=at_ns,
        cpu_ns=int(cpu["cpu_usage"]["total_usage"]),
        memory_bytes=max(0, int(memory.get("usage", 0)) - cache + mapped_files),
        throttled=(cpu.get("throttling_data") or {}).get("throttled_periods"),
        file_cache_bytes=cache,
        peak_bytes=int(peak) if peak else None,
        received_bytes=sum(int(one["rx_bytes"]) for one in networks) if networks else None,
        sent_bytes=sum(int(one["tx_bytes"]) for one in networks) if networks else None,
    )


def file_bytes(detail: Mapping[str, Any], mapped: Mapped) -> tuple[int, int]:
    """The file cache that the kernel counts to a container, groups below it included, and its mapped files.

    The kernel counts a page to whoever read it first, so the second of two containers with one image has less
    of it. What a process maps counts in any case. The kernel has shared memory among what is mapped.
    """

    def told(*names: str) -> int:
        return next((int(detail[name]) for name in names if name in detail), 0)

    cache = sum(told(f"total_{name}", name) for name in ("active_file", "inactive_file"))
    own = told("total_mapped_file", "mapped_file", "file_mapped") - mapped.shared
    return cache, max(mapped.files, min(own, cache))


def engine_instant(text: str, now_wall_ns: int, now_ns: int) -> int:
    """An engine's timestamp (RFC 3339, up to ns) on the monotonic clock."""
    found = FRACTION.search(text)
    fraction_ns = int(found.group(1)[:9].ljust(9, "0")) if found else 0
    whole = datetime.fromisoformat(FRACTION.sub("", text).replace("Z", "+00:00")).astimezone(UTC)
    wall_ns = int(whole.timestamp()) * 1_000_000_000 + fraction_ns
    return now_ns - (now_wall_ns - wall_ns)


def model_cache(attributes: dict[str, Any], cache: str | None = None) -> str:
    """Whether what a container pulls outlives it: "warm" with a writable volume there, else "cold".

    `cache` is the folder it pulls to; if that is unknown, any writable volume may be it.
    """
    mounts = [
        PurePosixPath(str(mount.get("Destination", "/")))
        for mount in attributes.get("Mounts") or []
        if mount.get("RW") and mount.get("Type") in ("volume", "bind")
    ]
    kept = mounts if cache is None else [m for m in mounts if PurePosixPath(cache).is_relative_to(m)]
    return "warm" if kept else "cold"


def runs_here(pid: int, container_id: str, proc: Path = PROC) -> bool:
    """Whether a container's first process is this kernel's: its number may be another process's here."""
    try:
        return container_id in (proc / str(pid) / "cgroup").read_text(encoding="utf-8")
    except OSError:
        return False


def peak_file(pid: int, container_id: str, proc: Path = PROC, cgroups: Path = CGROUPS) -> Path | None:
    """Where the kernel keeps a container's high-water mark of memory, which engines leave out of their stats.

    None with cgroup version 1, whose mark is in the stats, before Linux 5.19, which has none, and if the
    engine's processes cannot be seen from here.
    """
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        group = line.removeprefix("0::")
        # the process of that number is the container's only if both are on one machine
        file = cgroups / group.strip("/") / "memory.peak"
        if line.startswith("0::") and container_id in group and _read_number(file) is not None:
            return file
    return None


def _read_number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def find_address(
    container: Any, port: int, published: int | None, chosen: str, reach: str | None = None
) -> tuple[str, int, str]:
    """Host, port and kind of the way in: the container's own address if it can be reached, else loopback.

    A published port goes through a proxy process of the engine, whose copying would be measured too. `chosen`
    is the kind that earlier starts took, "" before the first: raises StrategyStartError if that way is closed
    now. With `reach` it is the published port on that address, which is the same way in for every host.
    """
    if reach is not None:
        if published is None:
            raise StrategyStartError(f"container port {port} is not published: other hosts cannot reach it")
        return reach, published, "published"
    deadline = time.monotonic() + CLOSED_AFTER_S
    while True:
        networks = container.attrs["NetworkSettings"]["Networks"].values()
        addresses = [network["IPAddress"] for network in networks if network.get("IPAddress")]
        for address in addresses if chosen != "published" else ():
            if is_reachable(address, port):
                return address, port, "bridge"
        container.reload()
        if not container.attrs["State"]["Running"]:
            code = container.attrs["State"].get("ExitCode")
            raise StrategyStartError(f"the container ended with {code} before it could be reached")
        if chosen != "bridge":
            break
        if time.monotonic() > deadline:
            # another way in would cost other copying: trials of one run must all take the same
            raise StrategyStartError(
                f"the container's own address cannot be reached on port {port}: "
                f"{' and '.join(addresses) or 'it has none'}"
            )
        time.sleep(REACH_AGAIN_S)
    if published is None:
        raise StrategyStartError(
            f"container port {port} is neither reachable nor published: publish it on loopback"
        )
    return "127.0.0.1", published, "published"


def is_reachable(address: str, port: int) -> bool:
    """Say whether packets get there: a refused connection answers that as well as an accepted one."""
    try:
        with socket.create_connection((address, port), timeout=REACH_TIMEOUT_S):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def engine_cores(cores: Cores, count: int | None) -> Cores | None:
    """The cores with the engine's last core for the service; None if the engine has enough cores."""
    if not count or max(cores.service) < count:
        return None
    return dataclasses.replace(cores, service=(count - 1,))


def engine_facts(info: Mapping[str, Any]) -> DockerFacts:
    """The engine's part of the environment fingerprint, from its answer to `info`."""
    return DockerFacts(
        engine_version=info.get("ServerVersion"),
        storage_driver=info.get("Driver"),
        image_store=image_store(info),
        container_runtime=info.get("DefaultRuntime"),
        engine_os=info.get("OperatingSystem"),
        engine_kernel=info.get("KernelVersion"),
        cgroup_version=info.get("CgroupVersion"),
    )


def image_store(info: Mapping[str, Any]) -> str:
    """Whether containerd keeps the images or the engine's own graph driver: sizes and digests differ."""
    details = dict(pair for pair in info.get("DriverStatus") or () if len(pair) == 2)
    return "containerd" if "snapshotter" in str(details.get("driver-type")) else "graph driver"
