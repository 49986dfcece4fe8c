"""What the kernel tells of the machine that bears on a measurement; what it does not tell is None."""

import os
import platform
import re
import sysconfig
from pathlib import Path
from typing import Any

CPU = Path("/sys/devices/system/cpu")
UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}


def machine() -> dict[str, Any]:
    """Caches, frequency and threading of the cores, memory, clock and the C library."""
    return {
        "cpu_caches": cpu_caches(CPU / "cpu0" / "cache"),
        "isolated_cores": read_text(CPU / "isolated"),
        "numa_nodes": read_text(Path("/sys/devices/system/node/online")),
        "smt": smt(CPU),
        "turbo": turbo(CPU),
        "governor": read_text(CPU / "cpu0" / "cpufreq" / "scaling_governor"),
        "virtual": is_virtual(read_text(Path("/proc/cpuinfo"))),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "huge_pages": chosen(read_text(Path("/sys/kernel/mm/transparent_hugepage/enabled"))),
        "clock_source": read_text(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        "libc": libc(),
        "os": f"{platform.system()} {platform.machine()}",
        "kernel": platform.release(),
    }


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
    """Whether a hypervisor is below, as x86 cores tell it; None where they are others."""
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo or "", re.MULTILINE)
    return "hypervisor" in flags[1].split() if flags else None


def chosen(text: str | None) -> str | None:
    """The word in brackets, as the kernel marks what is chosen of several."""
    found = re.search(r"\[(\w+)\]", text or "")
    return found[1] if found else None


def libc() -> str | None:
    """The C library that Python runs on: name and version, musl without one."""
    name, version = platform.libc_ver()
    if name:
        return f"{name} {version}".strip()
    return "musl" if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")) else None


def read_text(path: Path) -> str | None:
    """A kernel file's text; None where it is missing, closed to us or empty."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
