"""A strategy of known behaviour: a script says how long it takes and what it does wrong; it logs what it did.

It is a single file of the standard library, so that `bench` can run it as a strategy. The environment holds
the script as JSON in KNOWN_SCRIPT; its keys are the fields of `Script`. All times of the script, and of the
log, count from the begin of the load: that is the second request, as the first one only times the start. The
log is written when the process is asked to end (SIGTERM), into the folder KNOWN_LOG, as `PID.json`.

The answer follows from the image's bytes, as the manifest of the test's images says too.
"""

import asyncio
import base64
import hashlib
import json
import mmap
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LABELS = ("rain", "snow")
# what bench appends to an image so that no two bodies are alike counts for nothing, as for a decoder
COPY_MARK = b"bench copy "
HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
# the loop is woken so long before an end, which is then awaited and not slept past
EARLY_NS = 250_000
MIB = 1 << 20


@dataclass
class Script:
    """What the service does.

    `phases` are pairs: from this second on a request takes so many ms. With `servers` "one", one request is
    served at a time, first come first served; "many" serves all at once. `stalls` are triples: at this second
    the whole process pauses for so many seconds, and again after each period (0: never again).

    Each `wrong_every`-th request between the seconds `wrong_from_s` and `wrong_to_s` gets a wrong label, and
    all probabilities are off by `off_by`. With `most_queued` requests in it, the service turns further ones
    away with `full_status`. Each request burns `cpu_ms` in the process, `child_cpu_ms` in a child that lives
    only for it, and `orphan_cpu_ms` in a process whose parent ends at once. `exit_at_s` ends the process by
    SIGKILL. Before it listens, the service writes, reads and deletes a file of `file_mib`, reads a file of
    `read_mib` three times, and allocates and frees `allocate_mib`. It keeps `keep_mib`, a file of `map_mib`
    mapped (its own, or `map_file`) and `shared_mib` of shared memory, and forks `workers` that do nothing.
    """

    phases: list[list[float]] = field(default_factory=lambda: [[0.0, 5.0]])
    servers: str = "many"
    stalls: list[list[float]] = field(default_factory=list)
    wrong_every: int = 0
    wrong_from_s: float = 0.0
    wrong_to_s: float = float("inf")
    off_by: float = 0.0
    most_queued: int = 1_000_000
    full_status: int = 429
    cpu_ms: float = 0.0
    child_cpu_ms: float = 0.0
    orphan_cpu_ms: float = 0.0
    exit_at_s: float = 0.0
    file_mib: int = 0
    allocate_mib: int = 0
    keep_mib: int = 0
    read_mib: int = 0
    map_mib: int = 0
    map_file: str = ""
    shared_mib: int = 0
    workers: int = 0
    start_fails: bool = False

    def service_ms(self, at_s: float) -> float:
        """How long a request takes that begins at this second of the load."""
        return [ms for from_s, ms in self.phases if from_s <= max(at_s, 0.0)][-1]


class Service:
    """The script at work: when each request begins and ends, and the log of it."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.begun_ns: int | None = None
        self.log: list[tuple[float, float, float, int]] = []
        self.stalled: list[tuple[float, float]] = []
        self._requests = self._inside = self._free_ns = 0

    def since_begin_s(self, at_ns: int) -> float:
        """The second of the load; negative before it."""
        return -1.0 if self.begun_ns is None else (at_ns - self.begun_ns) / 1e9

    async def serve(self, image: bytes) -> tuple[int, dict[str, Any]]:
        """Take as long as the script says, and return status and answer."""
        arrived_ns = time.monotonic_ns()
        self._requests += 1
        number = self._requests
        if number == 2:
            self._begin_load(arrived_ns)
        if self._inside >= self.script.most_queued:
            self._note(arrived_ns, arrived_ns, self.script.full_status)
            return self.script.full_status, {"error": "full: try again later"}
        self._inside += 1
        try:
            begun_ns = await self._work(arrived_ns)
        finally:
            self._inside -= 1
        self._note(arrived_ns, begun_ns, 200)
        return 200, self._answer(image, number, self.since_begin_s(arrived_ns))

    async def _work(self, arrived_ns: int) -> int:
        begun_ns = max(arrived_ns, self._free_ns) if self.script.servers == "one" else arrived_ns
        ended_ns = begun_ns + int(self.script.service_ms(self.since_begin_s(begun_ns)) * 1e6)
        if self.script.servers == "one":
            self._free_ns = ended_ns
        burn(self.script.cpu_ms)
        if self.script.child_cpu_ms:
            subprocess.run(burning(self.script.child_cpu_ms), check=True)
        if self.script.orphan_cpu_ms:
            orphan = ["sh", "-c", '"$@" & ', "sh", *burning(self.script.orphan_cpu_ms)]
            subprocess.run(orphan, check=True, start_new_session=True)
        await asyncio.sleep(max(0, ended_ns - EARLY_NS - time.monotonic_ns()) / 1e9)
        while time.monotonic_ns() < ended_ns:
            pass
        return begun_ns

    def _note(self, arrived_ns: int, begun_ns: int, status: int) -> None:
        stamps = (arrived_ns, begun_ns, time.monotonic_ns())
        arrived_s, begun_s, ended_s = map(self.since_begin_s, stamps)
        self.log.append((arrived_s, begun_s, ended_s, status))

    def _begin_load(self, now_ns: int) -> None:
        self.begun_ns = now_ns
        for at_s, for_s, every_s in self.script.stalls:
            asyncio.get_running_loop().call_later(at_s, self._stall, for_s, every_s)
        if self.script.exit_at_s:
            asyncio.get_running_loop().call_later(self.script.exit_at_s, os.kill, os.getpid(), signal.SIGKILL)

    def _stall(self, for_s: float, every_s: float) -> None:
        if every_s:
            asyncio.get_running_loop().call_later(every_s, self._stall, for_s, every_s)
        begun_ns = time.monotonic_ns()
        time.sleep(for_s)
        self._free_ns = max(self._free_ns, time.monotonic_ns())
        self.stalled.append((self.since_begin_s(begun_ns), self.since_begin_s(time.monotonic_ns())))

    def _answer(self, image: bytes, number: int, at_s: float) -> dict[str, Any]:
        script = self.script
        label = LABELS[hashlib.sha256(image.partition(COPY_MARK)[0]).digest()[0] % 2]
        told = {name: 0.9 - script.off_by if name == label else 0.1 + script.off_by for name in LABELS}
        wrong = script.wrong_every and number % script.wrong_every == 0
        if wrong and script.wrong_from_s <= at_s < script.wrong_to_s:
            label = "hail"
        return {"prediction": label, "probabilities": told}

    def write_log(self, folder: Path) -> None:
        """Write what was done, in seconds of the load: requests as arrived, begun, ended and status."""
        told = {"requests": self.log, "stalls": self.stalled}
        (folder / f"{os.getpid()}.json").write_text(json.dumps(told))


class Connection(asyncio.Protocol):
    """A kept connection, over which one request at a time comes."""

    def __init__(self, service: Service) -> None:
        self._service, self._data = service, b""
        self._transport: asyncio.WriteTransport | None = None
        self._serving: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect a request and answer it."""
        self._data += data
        end = self._data.find(HEAD_END)
        if end < 0:
            return
        found = LENGTH.search(self._data, 0, end + 2)
        body = self._data[end + len(HEAD_END) :]
        if len(body) < (int(found.group(1)) if found else 0):
            return
        posted, self._data = self._data.startswith(b"POST"), b""
        if not posted:
            self._write(200, {"ready": True})
            return
        self._serving = asyncio.get_running_loop().create_task(self._serve(body))

    async def _serve(self, body: bytes) -> None:
        self._write(*await self._service.serve(base64.b64decode(json.loads(body)["image"])))

    def _write(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        head = b"HTTP/1.1 %d Known\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        if self._transport is not None:
            self._transport.write(head % (status, len(body)) + body)


def burn(milliseconds: float) -> None:
    """Use so much CPU time."""
    end_s = time.process_time() + milliseconds / 1e3
    while time.process_time() < end_s:
        pass


def burning(milliseconds: float) -> list[str]:
    """The command of a process that uses so much CPU time, beside what its start takes."""
    code = f"import time\nwhile time.process_time() < {milliseconds / 1e3}: pass"
    return [sys.executable, "-I", "-S", "-c", code]


def before_listening(script: Script) -> list[object]:
    """Leave traces in the kernel's accounting, as the script says; return what is to be kept in memory."""
    if script.file_mib:
        file_of(script.file_mib, times_read=1).unlink()
    if script.read_mib:
        file_of(script.read_mib, times_read=3)
    freed = b"\1" * (script.allocate_mib * MIB)
    del freed
    kept: list[object] = [b"\1" * (script.keep_mib * MIB)]
    if script.map_mib:
        mapped = Path(script.map_file) if script.map_file else file_of(script.map_mib, times_read=0)
        with mapped.open("rb") as file:
            kept.append(touched(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    if script.shared_mib:
        shared = mmap.mmap(-1, script.shared_mib * MIB)
        shared.write(b"\1" * len(shared))
        kept.append(shared)
    for _ in range(script.workers):
        if os.fork() == 0:
            signal.pause()
    return kept


def file_of(mib: int, times_read: int) -> Path:
    """Write a file of this size, read it so often, and return its path."""
    file = Path(f"known-{os.getpid()}-{mib}.bin")
    with file.open("wb") as out:
        for _ in range(mib):
            out.write(os.urandom(MIB))
        # what is not on the disk yet cannot be dropped from the cache
        out.flush()
        os.fsync(out.fileno())
    for _ in range(times_read):
        with file.open("rb") as written:
            while written.read(MIB):
                pass
    return file


def touched(mapped: mmap.mmap) -> mmap.mmap:
    """A mapping of which each page was looked at."""
    for at in range(0, len(mapped), mmap.PAGESIZE):
        mapped[at]
    return mapped


async def listen(service: Service, host: str, port: int) -> None:
    """Serve until SIGTERM, and then write the log."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: Connection(service), host, port, backlog=1024)
    await ended.wait()
    server.close()
    if folder := os.environ.get("KNOWN_LOG"):
        service.write_log(Path(folder))


def main() -> None:
    """Do what the script says."""
    script = Script(**json.loads(os.environ.get("KNOWN_SCRIPT", "{}")))
    if script.start_fails:
        raise SystemExit("the script says that this service does not start")
    kept = before_listening(script)
    # epoll's timers count in milliseconds
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(listen(Service(script), os.environ.get("HOST", "0.0.0.0"), int(os.environ["PORT"])))  # noqa: S104  # all addresses, as inside a container
    del kept


if __name__ == "__main__":
    main()
