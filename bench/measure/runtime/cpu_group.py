"""A control group for a local service: the kernel adds up the CPU time of all that ever ran in it."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
# a shell joins the group and becomes the program: what that forks first is in the group already
JOIN = '{ echo $$ > "$0"; } 2>/dev/null; exec "$@"'
# on a busy machine a shell takes its time to begin
JOIN_S, REMOVE_S, POLL_S = 1.0, 1.0, 0.001


class CpuGroup:
    """A new control group; what a process in it starts is in it too, and stays in it."""

    def __init__(self, folder: Path, version: int) -> None:
        self._folder, self._version = folder, version

    def joining(self, program: Sequence[str]) -> list[str]:
        """The command that runs the program in this group, or outside it if it may not be joined."""
        return ["/bin/sh", "-c", JOIN, str(self._folder / "cgroup.procs"), *program]

    def has(self, pid: int) -> bool:
        """Whether this process, which was begun by `joining`, is in it; it has a moment to get there."""
        end_s = time.monotonic() + JOIN_S
        while not (found := pid in (self.pids() or ())) and time.monotonic() < end_s:
            time.sleep(POLL_S)
        return found

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
        end_s = time.monotonic() + REMOVE_S
        while time.monotonic() < end_s:
            for pid in self.pids() or ():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            try:
                self._folder.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                # a process that was killed is in it until it has ended
                time.sleep(POLL_S)
            else:
                return


def cpu_group(name: str, own: Path = PROC / "self" / "cgroup", root: Path = CGROUPS) -> CpuGroup | None:
    """Make a group below ours; None if no group that counts CPU time may be made here."""
    found = _ours(own, root)
    if found is None:
        return None
    above, version = found
    group = CpuGroup(above / name, version)
    try:
        (above / name).mkdir()
    except OSError:
        return None
    if group.cpu_ns() is None:
        group.remove()
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
