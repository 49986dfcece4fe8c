"""The process runtime: the services of compose.yaml as local processes with the same environment."""

import contextlib
import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from bench.cores import Cores, pinned
from bench.errors import BenchError
from bench.measure.http_client import get_status, port_answers, wait_until
from bench.measure.machine.process_memory import MemoryReader
from bench.measure.machine.process_tree import cpu_of, tree
from bench.measure.machine.usage import Usage
from bench.measure.runtime.bounded_talk import talk
from bench.measure.runtime.conflicts import require_free
from bench.measure.runtime.cpu_group import CpuGroup, cpu_group
from bench.measure.runtime.instance import RuntimeFacts, StrategyStartError
from bench.measure.runtime.log_lines import last_words
from bench.measure.runtime.model_cache import cache_of, empty_cache
from bench.measure.runtime.process_group import ask_group_to_end, kill_group
from bench.measure.runtime.registry import ComposeService, Registry
from bench.model import PLAIN, Device, Doubt, ImageSize, Strategy

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "VIRTUAL_ENV")
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
NEAR = "localhost,127.0.0.1,::1"
STOP_S = 10.0
SUPPORT_TIMEOUT_S = 60.0
SETUP_TIMEOUT_S = 300.0
BY_PROCESSES = "the processes' memory, sampled"
BY_GROUP, BY_REAPED = "a control group", "living processes and the children that they reaped"
LOOPBACK = "127.0.0.1"
FILE = "file://"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104  # looked for, not listened on


class ProcessInstance:
    """A strategy as a local process tree."""

    address_kind = "loopback"
    access = PLAIN
    cores: tuple[int, ...] | None = None

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        port: int,
        log: Path,
        scratch: Path,
        created_ns: int,
        model_cache: str = "cold",
        host: str = "127.0.0.1",
        group: CpuGroup | None = None,
    ) -> None:
        self.model_cache, self.host = model_cache, host
        self.created_ns, self.running_ns, self.port = created_ns, time.monotonic_ns(), port
        self._process, self._log, self._scratch = process, log, scratch
        self.pid, self._group = process.pid, group
        self._memory = MemoryReader()

    @property
    def here(self) -> bool:
        """It runs under this kernel."""
        return True

    def usage(self) -> Usage:
        """CPU time and memory of the service's processes; ProcessLookupError if the first is gone.

        CPU time is the control group's, which misses nothing. Without a group it is that of the living
        processes and of the children that they have reaped.
        """
        if not self.alive():
            raise ProcessLookupError(f"process {self.pid} is gone")
        group = self._joined
        pids = group.pids() if group else None
        memory = self._memory.read(tree(self.pid) if pids is None else pids)
        told = group.cpu_ns() if group else None
        at_ns = time.monotonic_ns()
        living = cpu_of(tree(self.pid)) if told is None else None
        return Usage(
            at_ns,
            int(living.cpu_s * 1e9) if living else told or 0,
            memory.in_use,
            None,
            children_counted=living is None or living.complete,
            shared_once=memory.shared_once,
        )

    @cached_property
    def _joined(self) -> CpuGroup | None:
        """The control group, if the process could join it."""
        return self._group if self._group and self._group.has(self.pid) else None

    def alive(self) -> bool:
        """Say whether the first process still runs."""
        return self._process.poll() is None

    def fate(self) -> tuple[Doubt, ...]:
        """The exit, if the process ended."""
        code = self._process.poll()
        if code is None:
            return ()
        text = f"the process exited with {code}"
        return (Doubt("exited", text, "see the service's log", voids=True, cause="service"),)

    def log_tail(self) -> str:
        """The last line of its output."""
        return last_line(self._log)

    def stop(self) -> None:
        """End the process tree, gently at first."""
        end(self._process)
        if self._group is not None:
            self._group.remove()
        shutil.rmtree(self._scratch, ignore_errors=True)


def last_line(log: Path) -> str:
    """The last line that is not empty, for a message."""
    try:
        return last_words(log.read_bytes()[-8192:].decode(errors="replace"))
    except OSError:
        return ""


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: SIGTERM, then SIGKILL."""
    ask_group_to_end(process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=STOP_S)
    kill_group(process)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def require_program(program: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Raise FileNotFoundError if there is no such program to run in this folder."""
    named = str(folder / program) if "/" in program else program
    if shutil.which(named, path=environment.get("PATH", os.defpath)) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)


def _not_run(strategy: Strategy, program: str, error: OSError) -> str:
    """Why a strategy's command is not run, with the remedy if only its image has the program."""
    if isinstance(error, FileNotFoundError) and program.startswith("/"):
        return f"{strategy.name}: {program} is a program of its image, and not here: use --runtime compose"
    return f"{strategy.name}: its command cannot be run ({error})"


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables about proxies, which a container gets from Docker's client configuration."""
    return {name: value for name, value in environment.items() if name.lower() in PROXIES}


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep proxies from this machine's own addresses; none if there are no proxies."""
    if not any(value for name, value in proxies(environment).items() if name.lower() != "no_proxy"):
        return {}
    excepted = [environment.get("NO_PROXY", ""), environment.get("no_proxy", ""), NEAR]
    hosts = dict.fromkeys(host.strip() for part in excepted for host in part.split(","))
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(filter(None, hosts)))


class ProcessRuntime:
    """Runs one strategy at a time as a local process, pinned to the service cores."""

    kind = "process"

    def __init__(
        self, registry: Registry, cores: Cores, device: Device = "auto", reach: str | None = None
    ) -> None:
        self._reach = reach or LOOPBACK
        self.root = registry.root
        self._registry = registry
        self._cores = cores
        self._device = device
        self._everywhere = cores.available
        self._folder = Path(tempfile.mkdtemp(prefix="bench-process-"))
        self._support: list[subprocess.Popen[bytes]] = []
        self._cached_bytes: dict[str, int] = {}
        tried = self._group()
        self._cpu_from = BY_GROUP if tried else BY_REAPED
        if tried:
            tried.remove()

    def prepare(self, strategies: Sequence[Strategy], *, build: bool) -> None:
        """Bring the support services up; there is nothing to build."""
        del build
        for strategy in strategies:
            service = self._registry.services[strategy.service]
            require_free(service.published or service.port or 0, service)
        for service in self._registry.support(strategies):
            if service.role == "setup":
                self._run_setup(service)
            else:
                self._run_support(service)

    def start(self, strategy: Strategy, *, warm: bool = False) -> ProcessInstance:
        """Start a fresh process with an empty scratch folder; a warm start keeps its model cache."""
        service = self._registry.service_of(strategy)
        port = service.published or strategy.port
        require_free(port, service)
        scratch = Path(tempfile.mkdtemp(dir=self._folder))
        if warm:
            self._keep_cache(strategy, service, scratch)
        log = self._folder / f"{service.name}.log"
        created_ns = time.monotonic_ns()
        if not service.command:
            raise StrategyStartError(
                f"{strategy.name}: {service.name} has no command in compose.yaml, which a local process needs"
            )
        group = self._group()
        try:
            process = self._spawn(service, service.command, scratch, log, self._cores.service, group=group)
        except OSError as error:
            if group is not None:
                group.remove()
            raise StrategyStartError(_not_run(strategy, service.command[0], error)) from None
        cache = "warm" if warm else "cold"
        return ProcessInstance(process, port, log, scratch, created_ns, cache, self._reach, group)

    def model_bytes(self, strategy: Strategy) -> int | None:
        """The bytes of the files in the strategy's model cache."""
        return self._cached_bytes.get(strategy.name)

    def measure_cache(self, strategy: Strategy) -> None:
        """Sum the files in the strategy's folder."""
        found = sum(file.stat().st_size for file in self._cache(strategy).rglob("*") if file.is_file())
        if not found:
            raise StrategyStartError(f"{strategy.name}: {empty_cache(cache_of(self._registry, strategy))}")
        self._cached_bytes[strategy.name] = found

    @staticmethod
    def _group() -> CpuGroup | None:
        """A new control group, None if there are none here."""
        return cpu_group(f"bench-{os.getpid()}-{time.monotonic_ns()}")

    def _cache(self, strategy: Strategy) -> Path:
        """The folder that warm starts of a strategy share."""
        return self._folder / f"model-cache-{strategy.name}"

    def _keep_cache(self, strategy: Strategy, service: ComposeService, scratch: Path) -> None:
        """Put a link to the shared model cache into the scratch folder, in place of one of its own."""
        cache = cache_of(self._registry, strategy)
        here = Path(self._local(cache, service, scratch))
        if not here.is_relative_to(scratch) or here == scratch:
            raise StrategyStartError(
                f"{strategy.name}: {cache} is below no tmpfs of its service, so it is not kept"
            )
        here.parent.mkdir(parents=True, exist_ok=True)
        self._cache(strategy).mkdir(exist_ok=True)
        here.symlink_to(self._cache(strategy))

    def image_size(self, strategy: Strategy) -> ImageSize | None:
        """A process has no image."""
        del strategy
        return None

    def run_loop(self, strategy: Strategy, request: bytes, timeout_s: float) -> bytes:
        """Run the loop command on the service cores."""
        service = self._registry.service_of(strategy)
        scratch = Path(tempfile.mkdtemp(dir=self._folder))
        log = self._folder / f"{service.name}.loop.log"
        process = self._spawn(
            service, strategy.loop_command or (), scratch, log, self._cores.service, stdin=True
        )
        try:
            output, _ = talk(process, request, timeout_s, strategy.name)
        finally:
            end(process)
            shutil.rmtree(scratch, ignore_errors=True)
        if process.returncode != 0:
            raise StrategyStartError(
                f"{strategy.name}: its loop exited with {process.returncode}: {last_line(log)}"
            )
        return output

    def describe(self) -> RuntimeFacts:
        """Local processes have an address and no engine."""
        return RuntimeFacts("loopback", peak_memory_from=BY_PROCESSES, cpu_time_from=self._cpu_from)

    def close(self) -> None:
        """End the support services and remove what was written."""
        for process in reversed(self._support):
            end(process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run_support(self, service: ComposeService) -> None:
        log = self._folder / f"{service.name}.log"
        if service.port:
            require_free(service.published or service.port, service)
        process = self._spawn(service, service.command, self._folder, log, self._everywhere)
        self._support.append(process)
        if service.port is None:
            return
        port, path = service.published or service.port, service.ready_path

        def up() -> bool:
            return get_status("127.0.0.1", port, path) == 200 if path else port_answers("127.0.0.1", port)

        if wait_until(up, SUPPORT_TIMEOUT_S, lambda: process.poll() is None) is None:
            raise BenchError(f"{service.name} did not come up: {last_line(log) or 'it wrote nothing'}")

    def _run_setup(self, service: ComposeService) -> None:
        log = self._folder / f"{service.name}.log"
        process = self._spawn(service, service.command, self._folder, log, self._everywhere)
        try:
            code = process.wait(timeout=SETUP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{service.name} did not end within {SETUP_TIMEOUT_S:.0f} s") from None
        finally:
            end(process)
        if code != 0:
            raise BenchError(f"{service.name} failed with {code}: {last_line(log) or 'it wrote nothing'}")

    def _spawn(
        self,
        service: ComposeService,
        command: Sequence[str],
        scratch: Path,
        log: Path,
        cores: tuple[int, ...],
        *,
        stdin: bool = False,
        group: CpuGroup | None = None,
    ) -> subprocess.Popen[bytes]:
        if not command:
            raise BenchError(f"{service.name} has no command in compose.yaml: the process runtime needs one")
        program = [sys.executable if command[0] == "python" else command[0]]
        # in its container a service listens on every interface; here loopback is as far as it should be heard
        heard = self._reach if service.role == "strategy" else LOOPBACK
        program += [heard if part == ANY_ADDRESS else part for part in command[1:]]
        environment = self.environment(service, scratch)
        # what its image is made of is there: a Python program finds its modules where it runs
        folder = self.root / service.context
        if group is not None:
            require_program(program[0], folder, environment)
            program = group.joining(program)
        # a session of its own: Ctrl-C is the harness's to handle, and the whole tree can be ended at once
        with log.open("wb") as output, pinned(cores):
            return subprocess.Popen(  # noqa: S603  # compose.yaml's command
                program,
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdin else output,
                stderr=output,
                start_new_session=True,
            )

    def environment(self, service: ComposeService, scratch: Path) -> dict[str, str]:
        """The service's environment as it must be on this machine instead of in its container."""
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        ours = {name: self._local(value, service, scratch) for name, value in service.environment.items()}
        if service.published and ours.get("PORT") == str(service.port):
            ours["PORT"] = str(service.published)
        if service.role == "strategy" and self._device != "auto":
            ours["DEVICE"] = self._device
        if service.code:
            ours["PYTHONPATH"] = str((self.root / service.code).absolute())
        heard = self._reach if service.role == "strategy" else LOOPBACK
        given = {**passed, **proxies(os.environ), "HOST": heard, "PYTHONUNBUFFERED": "1", **ours}
        return {**given, **past_proxies(given)}

    def _local(self, value: str, service: ComposeService, scratch: Path) -> str:
        """Hostnames of services become loopback, container paths what they stand for here."""
        if value.startswith(FILE):
            return FILE + str(Path(self._local(value.removeprefix(FILE), service, scratch)).absolute())
        for other in self._registry.services.values():
            value = re.sub(rf"(?<=://){re.escape(other.name)}(?=[:/]|$)", "127.0.0.1", value)
        for target in service.writable:
            if value == target or value.startswith(target.rstrip("/") + "/"):
                return str(scratch / value.removeprefix(target).lstrip("/"))
        for target, source in service.mounts:
            if target and (value == target or value.startswith(target.rstrip("/") + "/")):
                return str(self.root / source) + value.removeprefix(target)
        return value
