"""The fingerprint of a run: what a reader must know to repeat it. No path, host name, user or secret."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import psutil
from msgspec import UNSET

from bench.cores import Cores, can_pin, format_cores
from bench.model import Environment, RunSettings
from bench.own_distribution import NAME, own_distribution

CPU = Path("/sys/devices/system/cpu")
UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}
LIBRARIES = (
    "locust",
    "gevent",
    "geventhttpclient",
    "uvloop",
    "orjson",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "prometheus-client",
    "psutil",
    "docker",
)


def fingerprint(root: Path, cores: Cores, settings: RunSettings) -> Environment:
    """Machine, code, versions and settings of this run."""
    commit, dirty = git_state(root)
    return replace(
        machine(),
        cpu_model=cpu_model(),
        cores=os.cpu_count(),
        usable_cores=format_cores(cores.available),
        service_cores=format_cores(cores.service),
        driver_cores=format_cores(cores.driver),
        cores_disjoint=cores.disjoint,
        driver_pinned=UNSET if can_pin() else False,
        gpu=gpu(),
        stolen_since_boot=stolen_since_boot(cores.service),
        commit=commit,
        dirty=dirty,
        python=platform.python_version(),
        libraries={name: _version(name) for name in LIBRARIES} | _harness(),
        settings=settings,
    )


def cpu_model() -> str | None:
    """The processor's name, from the kernel."""
    found = re.search(r"^model name\s*:\s*(.+)$", read_text(Path("/proc/cpuinfo")) or "", re.MULTILINE)
    return found.group(1).strip() if found else platform.processor() or None


def gpu() -> str | None:
    """Name, memory and driver of each GPU from nvidia-smi; None without that tool."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603  # a fixed command
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return "; ".join(lines) if done.returncode == 0 and lines else None


def git_state(root: Path) -> tuple[str | None, bool | None]:
    """The commit (seven digits or more) and whether files differ from it; None without git."""
    commit = _git(root, "rev-parse", "--short=7", "HEAD")
    if commit is None:
        return None, None
    return commit, bool(_git(root, "status", "--porcelain", "--untracked-files=no"))


def stolen_since_boot(cores: tuple[int, ...]) -> float | None:
    """The share of the cores' time that the host has taken since boot; None if the kernel does not say."""
    stolen, total = steal_ticks(cores)
    return round(stolen / total, 6) if total else None


def steal_ticks(cores: tuple[int, ...]) -> tuple[int, int]:
    """Ticks that the host stole from the cores, and all their ticks, since boot."""
    stolen, total = 0, 0
    for line in (read_text(Path("/proc/stat")) or "").splitlines():
        found = re.match(r"cpu(\d+) (.+)", line)
        if found and int(found.group(1)) in cores:
            ticks = [int(word) for word in found.group(2).split()[:8]]
            stolen += ticks[7] if len(ticks) > 7 else 0
            total += sum(ticks)
    return stolen, total


def _git(root: Path, *args: str) -> str | None:
    try:
        command = ["git", *args]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603  # git
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _harness() -> dict[str, str | None]:
    """This program's version, if it is installed; of a checkout the commit says more."""
    found = own_distribution()
    return {NAME: found.version} if found else {}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine() -> Environment:
    """Caches, frequency and threading of the cores, memory, clock and the C library."""
    return Environment(
        cpu_caches=cpu_caches(CPU / "cpu0" / "cache"),
        isolated_cores=read_text(CPU / "isolated"),
        numa_nodes=read_text(Path("/sys/devices/system/node/online")),
        smt=smt(CPU),
        turbo=turbo(CPU),
        governor=read_text(CPU / "cpu0" / "cpufreq" / "scaling_governor"),
        virtual=is_virtual(read_text(Path("/proc/cpuinfo"))),
        memory_bytes=psutil.virtual_memory().total,
        huge_pages=chosen(read_text(Path("/sys/kernel/mm/transparent_hugepage/enabled"))),
        clock_source=read_text(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        libc=libc(),
        os=f"{platform.system()} {platform.machine()}",
        kernel=platform.release(),
    )


def cpu_caches(folder: Path) -> dict[str, int] | None:
    """Bytes of each cache that the first core has or shares, by name: L1d, L1i, L2, L3."""
    found = {}
    for index in sorted(folder.glob("index*")):
        level, kind, size = (read_text(index / name) or "" for name in ("level", "type", "size"))
        number = re.fullmatch(r"(\d+)([KMG]?)", size)
        if level and number:
            suffix = {"Data": "d", "Instruction": "i"}.get(kind, "")
            found[f"L{level}{suffix}"] = int(number[1]) * UNITS.get(number[2], 1)
    return found or None


def smt(folder: Path) -> bool | None:
    """Whether two threads share a core."""
    return {"0": False, "1": True}.get(read_text(folder / "smt" / "active") or "")


def turbo(folder: Path) -> bool | None:
    """Whether the cores may go beyond their nominal frequency."""
    blocked = read_text(folder / "intel_pstate" / "no_turbo")
    if blocked in ("0", "1"):
        return blocked == "0"
    return {"0": False, "1": True}.get(read_text(folder / "cpufreq" / "boost") or "")


def is_virtual(cpuinfo: str | None) -> bool | None:
    """Whether the machine is virtual, as x86 cores report it; None on other cores."""
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo or "", re.MULTILINE)
    return "hypervisor" in flags[1].split() if flags else None


def chosen(text: str | None) -> str | None:
    """The word in brackets: the kernel marks the chosen word of several like this."""
    found = re.search(r"\[(\w+)\]", text or "")
    return found[1] if found else None


def libc() -> str | None:
    """The C library that Python runs on: name and version, without a version for musl."""
    name, version = platform.libc_ver()
    if name:
        return f"{name} {version}".strip()
    return "musl" if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")) else None


def read_text(path: Path) -> str | None:
    """A kernel file's text; None if it is missing, not readable or empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def machine_folders(root: Path) -> dict[str, str]:
    """Folders of this machine that nothing public names, with what stands in their place."""
    folders = {str(root.resolve()): ".", str(Path.cwd()): ".", tempfile.gettempdir(): "<tmp>"}
    folders |= {str(Path("~").expanduser()): "~"}
    return {folder: name for folder, name in folders.items() if len(folder) > 1}


def make_redactor(
    root: Path, services: Iterable[str] = (), strategies: Iterable[str] = ()
) -> Callable[[str], str]:
    """A function that puts names of their own in place of the repository, temporary, home folder and host.

    `services` are other hosts, by name or address, on which services run. A host that is called like one of
    the `strategies` keeps its name, which the run has anyway.
    """
    names = {re.escape(folder): name for folder, name in machine_folders(root).items()}
    patterns = [(re.compile(rf"{found}(?=/|\W|$)"), names[found]) for found in sorted(names, key=len)[::-1]]
    host = platform.node()
    kept = {"", *(name.lower() for name in strategies)}
    hosts = {name for name in (host, *services) if name.lower() not in kept}
    for name in sorted(hosts, key=len)[::-1]:
        # an answer may repeat the Host header, which has the port too
        at = rf"\[{re.escape(name)}\](?::\d+)?|(?<![\w-]){re.escape(name)}(?::\d+)?(?![\w-])"
        patterns.append((re.compile(at, re.IGNORECASE), "<host>"))

    def redact(text: str) -> str:
        for pattern, name in patterns:
            text = pattern.sub(name, text)
        return text

    return redact
