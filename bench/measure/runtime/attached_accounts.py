"""The accounts of services that run already: of a process and its children, of a container, or none."""

import contextlib
import ipaddress
import os
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import psutil

from bench.errors import UsageError
from bench.measure.machine.process_memory import MemoryReader
from bench.measure.machine.process_tree import PROC, TreeCpu, cpu_of, tree
from bench.measure.machine.usage import Usage
from bench.measure.runtime.attached_instance import NoAccount, ServiceAccount
from bench.measure.runtime.compose_runtime import WORKING_SET
from bench.measure.runtime.container import ContainerInstance
from bench.measure.runtime.engine_client import connect_engine
from bench.measure.runtime.process_runtime import BY_PROCESSES, BY_REAPED
from bench.model import Doubt, Strategy

# readings of CPU time until one has that of processes that are just ending
AGAIN = 3
START_AGAIN = "see why it ended, start it again, and measure again"


class ProcessAccount:
    """The account of a process and its descendants, of any user.

    Raises UsageError if there is no such process, or if it is a thread or has ended already. `port` is the
    one that the service listens on, if it does so on this machine.
    """

    here = True
    memory_from: str | None = BY_PROCESSES
    cpu_from: str | None = BY_REAPED

    def __init__(self, name: str, pid: int, port: int | None = None) -> None:
        try:
            self._process = psutil.Process(pid)
            self.cores = cores_of_processes(tree(pid))
        except psutil.Error:
            raise UsageError(
                f"--pid of {name}: no process {pid} runs here: name the service's first process"
            ) from None
        if (first := process_of(pid)) != pid:
            raise UsageError(f"--pid of {name}: {pid} is a thread: name its process, {first}")
        if self.fate():
            raise UsageError(f"--pid of {name}: process {pid} has ended: name the service's first process")
        if os.getpid() in tree(pid):
            raise UsageError(
                f"--pid of {name}: bench itself runs below process {pid}: name the service's first process"
            )
        self.pid = pid
        self.listens = None if port is None else listens(tree(pid), port)
        self._memory = MemoryReader()
        self._known: dict[int, psutil.Process] = {}
        self._most = TreeCpu(0.0, complete=True)

    def usage(self) -> Usage:
        """CPU time of its living processes and of the children that they reaped, and their memory."""
        if self.fate():
            raise ProcessLookupError(f"process {self.pid} is gone")
        pids = self._pids()
        memory, at_ns, cpu = self._memory.read(pids), time.monotonic_ns(), self._cpu(pids)
        return Usage(
            at_ns,
            int(cpu.cpu_s * 1e9),
            memory.in_use,
            None,
            children_counted=cpu.complete,
            shared_once=memory.shared_once,
        )

    def _pids(self) -> list[int]:
        """Its processes: a child whose parent has ended is another's child, and still the service's."""
        self._known = {pid: one for pid, one in self._known.items() if one.is_running()}
        for pid in dict.fromkeys(one for root in (self.pid, *self._known) for one in tree(root)):
            if pid not in self._known:
                with contextlib.suppress(psutil.Error):
                    self._known[pid] = psutil.Process(pid)
        return list(self._known)

    def _cpu(self, pids: Sequence[int]) -> TreeCpu:
        """Their CPU time, which never falls: if it did, it lacks that of a process whom nobody here reaped.

        A process that ends meanwhile is missing in a reading, but its parent has its time in the next.
        """
        found = cpu_of(pids)
        for _ in range(AGAIN):
            if found.cpu_s >= self._most.cpu_s:
                break
            found = cpu_of(self._pids())
        complete = found.complete and found.cpu_s >= self._most.cpu_s and self._most.complete
        self._most = TreeCpu(max(found.cpu_s, self._most.cpu_s), complete)
        return self._most

    def fate(self) -> tuple[Doubt, ...]:
        """Its end; another process that has its number now is not it."""
        try:
            if self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
                return ()
        except psutil.Error:
            pass
        return (Doubt("exited", "the service's process ended", START_AGAIN, voids=True, cause="service"),)


class ContainerAccount:
    """The account of a container as its engine keeps it."""

    memory_from: str | None = WORKING_SET
    cpu_from: str | None = None

    def __init__(self, container: Any, host: str = "", port: int = 0) -> None:
        now_ns = time.monotonic_ns()
        self._container = container
        self._copy = ContainerInstance(container, now_ns, now_ns, "", 0, "as given")
        self.pid, self.here = self._copy.pid, self._copy.here
        self.cores = cores_of_processes(tree(self.pid)) if self.here else ()
        self.listens = at_address(container.attrs, host, port)
        self._began = container.attrs["State"].get("StartedAt")

    def usage(self) -> Usage:
        """CPU time, working set and throttling of the container."""
        return self._copy.usage()

    def fate(self) -> tuple[Doubt, ...]:
        """Its end, and whether it was restarted since the account was opened."""
        runs = self._copy.alive()
        found = tuple(one for one in self._copy.fate() if one.code != "restarted")
        if not runs and not found:
            return (Doubt("exited", "the container is gone", START_AGAIN, voids=True, cause="service"),)
        if self._container.attrs["State"].get("StartedAt") != self._began:
            again = Doubt(
                "restarted", "the container was restarted", "measure again", voids=True, cause="service"
            )
            found = (*found, again)
        return found


def open_accounts(strategies: Sequence[Strategy]) -> dict[str, ServiceAccount]:
    """An account for each strategy that runs already, by its name.

    Raises UsageError if a process or a container is not there, MissingPartError without an engine to ask.
    """
    engine: Any = None
    accounts: dict[str, ServiceAccount] = {}
    for one in strategies:
        if one.attachment is None:
            continue
        if one.attachment.pid is not None:
            here = one.port if is_here(one.attachment.host) else None
            accounts[one.name] = ProcessAccount(one.name, one.attachment.pid, here)
        elif one.attachment.container is not None:
            engine = engine or connect_engine()
            container = running_container(engine, one.name, one.attachment.container)
            accounts[one.name] = ContainerAccount(container, one.attachment.host, one.port)
        else:
            accounts[one.name] = NoAccount()
    return accounts


def running_container(engine: Any, name: str, container: str) -> Any:
    """The container of this name or number; raises UsageError if it is not there, or cannot answer."""
    import docker

    try:
        found = engine.containers.get(container)
    except docker.errors.NotFound:
        raise UsageError(
            f"--container of {name}: there is no container {container}: `docker ps` lists them"
        ) from None
    state = found.attrs["State"]
    if state.get("Paused"):
        raise UsageError(f"--container of {name}: {container} is paused: `docker unpause {container}`")
    if state.get("Restarting"):
        raise UsageError(f"--container of {name}: {container} is restarting: see `docker logs {container}`")
    if not state["Running"]:
        raise UsageError(f"--container of {name}: {container} does not run: `docker ps` lists those that do")
    return found


def at_address(attributes: Mapping[str, Any], host: str, port: int) -> bool | None:
    """Whether a container is what listens at an address of this machine; None if nobody knows.

    It is reached by a port that the engine publishes, or by an address of its own on one of its networks.
    """
    network = attributes.get("NetworkSettings") or {}
    networks = (network.get("Networks") or {}).values()
    addresses = {one.get(key) for one in networks for key in ("IPAddress", "GlobalIPv6Address")}
    if host in addresses - {"", None}:
        return True
    if (attributes.get("HostConfig") or {}).get("NetworkMode") == "host" or not is_here(host):
        return None
    bindings = [one for ones in (network.get("Ports") or {}).values() for one in ones or ()]
    return str(port) in {one.get("HostPort") for one in bindings}


def is_here(host: str) -> bool:
    """Whether a host is this machine by its loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def process_of(thread: int) -> int:
    """The process that a thread is of: itself if it is its process's first, or if the system does not say."""
    try:
        lines = (PROC / str(thread) / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return thread
    return next((int(line.split()[1]) for line in lines if line.startswith("Tgid:")), thread)


def listens(pids: Collection[int], port: int) -> bool | None:
    """Whether one of these processes listens on a port; None if that may not be seen."""
    unseen = False
    for pid in pids:
        try:
            found = psutil.Process(pid).net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            continue
        except (psutil.Error, OSError):
            unseen = True
            continue
        if any(one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port for one in found):
            return True
    return None if unseen else False


def cores_of_processes(pids: Collection[int]) -> tuple[int, ...]:
    """The cores on which one of the processes may run; none if the system does not say."""
    found: set[int] = set()
    for pid in pids:
        try:
            found.update(psutil.Process(pid).cpu_affinity() or ())
        except (psutil.Error, AttributeError):
            continue
    return tuple(sorted(found))
