"""A control group for a local service: the kernel adds up the CPU time of all that ever ran in it."""

import contextlib
import os
import signal
from pathlib import Path

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


class CpuGroup:
    """A new control group, with a process in it; what that starts is in it too, and stays in it."""

    def __init__(self, folder: Path, version: int) -> None:
        self._folder, self._version = folder, version

    def cpu_ns(self) -> int | None:
        """CPU time of all processes that were ever in it; None if it cannot be read."""
        try:
            if self._version == 1:
                return int((self._folder / "cpuacct.usage").read_text())
            lines = (self._folder / "cpu.stat").read_text().splitlines()
        except (OSError, ValueError):
            return None
        found = dict(line.split() for line in lines)
        return int(found["usage_usec"]) * 1000 if "usage_usec" in found else None

    def pids(self) -> list[int] | None:
        """The processes that are in it now; None if they cannot be read."""
        try:
            return [int(word) for word in (self._folder / "cgroup.procs").read_text().split()]
        except (OSError, ValueError):
            return None

    def remove(self) -> None:
        """Kill what is left in it, and remove it."""
        for pid in self.pids() or ():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def cpu_group(
    pid: int, name: str, own: Path = PROC / "self" / "cgroup", root: Path = CGROUPS
) -> CpuGroup | None:
    """Put a process into a new group below ours; None if no group that counts CPU time may be made here."""
    found = _ours(own, root)
    if found is None:
        return None
    above, version = found
    group = CpuGroup(above / name, version)
    try:
        (above / name).mkdir()
    except OSError:
        return None
    try:
        (above / name / "cgroup.procs").write_text(str(pid))
    except OSError:
        group.remove()
        return None
    if group.cpu_ns() is None:
        # its processes go back before it is removed
        with contextlib.suppress(OSError):
            (above / "cgroup.procs").write_text(str(pid))
        with contextlib.suppress(OSError):
            (above / name).rmdir()
        return None
    return group


def _ours(own: Path, root: Path) -> tuple[Path, int] | None:
    """The folder of this process's own group that counts CPU time, and the version of its file system."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    groups = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    for _, controllers, path in groups:
        if "cpuacct" in controllers.split(","):
            for name in (controllers, "cpuacct"):
                folder = root / name / path.strip("/")
                if (folder / "cgroup.procs").is_file():
                    return folder, 1
    for number, controllers, path in groups:
        folder = root / path.strip("/")
        if number == "0" and not controllers and (folder / "cpu.stat").is_file():
            return folder, 2
    return None
