"""The fingerprint of a run: what a reader must know to repeat it. No path, host name, user or secret."""

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cores import Cores, format_cores
from bench.measure.machine import machine, read_text

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


def fingerprint(root: Path, cores: Cores, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Machine, code, versions and settings of this run."""
    commit, dirty = git_state(root)
    return {
        "cpu_model": cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": format_cores(cores.available),
        "service_cores": format_cores(cores.service),
        "driver_cores": format_cores(cores.driver),
        "cores_disjoint": cores.disjoint,
        "gpu": gpu(),
        **machine(),
        "stolen_since_boot": stolen_since_boot(cores.service),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "settings": dict(settings),
    }


def cpu_model() -> str | None:
    """The processor's name as the kernel tells it."""
    found = re.search(r"^model name\s*:\s*(.+)$", read_text(Path("/proc/cpuinfo")) or "", re.MULTILINE)
    return found.group(1).strip() if found else platform.processor() or None


def gpu() -> str | None:
    """Name, memory and driver of each GPU as NVIDIA's tool tells them, None where there is no such tool."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603  # a fixed command
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return "; ".join(lines) if done.returncode == 0 and lines else None


def git_state(root: Path) -> tuple[str | None, bool | None]:
    """The commit (seven digits or more) and whether files differ from it; None where there is no git."""
    commit = _git(root, "rev-parse", "--short=7", "HEAD")
    if commit is None:
        return None, None
    return commit, bool(_git(root, "status", "--porcelain", "--untracked-files=no"))


def stolen_since_boot(cores: tuple[int, ...]) -> float | None:
    """The share of the cores' time that the host has taken since boot; None where nothing is told."""
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


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
