"""A strategy as a local process tree: its accounting, its last words and its end."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from bench.measure.instance import Usage

STOP_S = 10.0


class ProcessInstance:
    """A strategy as a local process tree."""

    address_kind = "loopback"

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        port: int,
        log: Path,
        scratch: Path,
        created_ns: int,
        model_cache: str = "cold",
        host: str = "127.0.0.1",
    ) -> None:
        import psutil

        self.model_cache, self.host = model_cache, host
        self.created_ns, self.running_ns, self.port = created_ns, time.monotonic_ns(), port
        self._process, self._log, self._scratch = process, log, scratch
        self._root = psutil.Process(process.pid)

    def usage(self) -> Usage:
        """CPU and resident memory summed over the process tree; ProcessLookupError where it is gone."""
        import psutil

        cpu_s, memory = 0.0, 0
        try:
            children = self._root.children(recursive=True)
        except psutil.NoSuchProcess as error:
            raise ProcessLookupError(str(error)) from None
        for process in (self._root, *children):
            try:
                times = process.cpu_times()
                memory += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            cpu_s += times.user + times.system
        return Usage(time.monotonic_ns(), int(cpu_s * 1e9), memory, None)

    def alive(self) -> bool:
        """Say whether the first process still runs."""
        return self._process.poll() is None

    def fate(self) -> tuple[str, ...]:
        """An exit, where there was one."""
        code = self._process.poll()
        return () if code is None else (f"the process exited with {code}",)

    def log_tail(self) -> str:
        """The last line of its output."""
        return last_line(self._log)

    def stop(self) -> None:
        """End the process tree, gently at first."""
        end(self._process)
        shutil.rmtree(self._scratch, ignore_errors=True)


def last_line(log: Path) -> str:
    """The last line that is not empty, for a message."""
    try:
        lines = log.read_bytes()[-8192:].decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: SIGTERM, then SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
