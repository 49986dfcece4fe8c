"""A program under watch: which addresses it talks to and which files it writes, as the kernel sees it.

The kernel stops each system call that a seccomp filter names, shows it here, and goes on with it. This needs
no rights and no tool, misses no machine code, and holds for all children of the program.
"""

import ctypes
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path

# the numbers of the system calls, by architecture
CALLS = {
    "x86_64": {
        "connect": 42, "sendto": 44, "sendmsg": 46, "sendmmsg": 307,
        "open": 2, "creat": 85, "mkdir": 83, "openat": 257, "mkdirat": 258,
    },
    "aarch64": {"connect": 203, "sendto": 206, "sendmsg": 211, "sendmmsg": 269, "openat": 56, "mkdirat": 34},
}  # fmt: skip
PIDFD_GETFD = 438
RECEIVE, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
GO_ON = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
LOAD, EQUAL, ANY_BIT, ANSWER = 0x20, 0x15, 0x45, 0x06  # a filter's instructions
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# which argument of a call is the path
PATH_OF = {"open": 0, "creat": 0, "mkdir": 0, "openat": 1, "mkdirat": 1}
FLAGS_OF = {"open": 1, "openat": 2}
IN_FOLDER = ("openat", "mkdirat")  # their first argument is the folder in which a path begins
HERE = -100  # AT_FDCWD

# installs the filter, says the number of its descriptor, waits until it was taken, and becomes the program
LAUNCHER = """
import ctypes, os, struct, sys
say, go, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[4:]
code = bytes.fromhex(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_char_p)]
libc.prctl(38, 1, 0, 0, 0)
number = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
listener = libc.syscall(number, 1, 8, ctypes.byref(Program(len(code) // 8, code)))
os.write(say, str(listener).encode())
os.close(say)
os.read(go, 1)
os.close(go)
os.execvp(program[0], program)
"""


@dataclass
class Traced:
    """What a program did: it talked to `hosts`, "address:port" beyond loopback, and wrote to `files`."""

    process: "subprocess.Popen[str]"
    hosts: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)


def can_trace() -> bool:
    """Tell whether this kernel shows system calls in this way."""
    return sys.platform == "linux" and platform.machine() in CALLS and hasattr(os, "pidfd_open")


@contextmanager
def traced(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, stdin: int = subprocess.DEVNULL
) -> Iterator[Traced]:
    """Run a command under watch, with a pipe as its standard error; kill what still runs at the end."""
    told, say = os.pipe()
    go, let = os.pipe()
    words = [sys.executable, "-S", "-E", "-c", LAUNCHER, str(say), str(go), _filter().hex(), *command]
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=environment,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=(say, go),
        start_new_session=True,
    )
    os.close(say)
    os.close(go)
    with os.fdopen(told) as line:
        number = int(line.read())
    assert number >= 0, "the kernel takes no filter here"
    listener = _take(process.pid, number)
    seen = Traced(process)
    watcher = threading.Thread(target=_watch, args=(listener, seen))
    watcher.start()
    os.write(let, b"x")
    os.close(let)
    try:
        yield seen
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stderr:
            process.stderr.close()
        watcher.join(60)
        os.close(listener)


def _filter() -> bytes:
    """Return the filter: a call that is named is shown; a call that opens a file only if it may write."""
    number, show, allow = _step(LOAD, 0), _step(ANSWER, 0x7FC00000), _step(ANSWER, 0x7FFF0000)
    code = b""
    for name, wanted in CALLS[platform.machine()].items():
        then = show
        if name in FLAGS_OF:
            flags = _step(LOAD, 16 + 8 * FLAGS_OF[name])
            then = flags + _step(ANY_BIT, WRITES, otherwise=1) + show + allow
        code += number + _step(EQUAL, wanted, otherwise=len(then) // len(show)) + then
    return code + allow


def _step(code: int, value: int, otherwise: int = 0) -> bytes:
    """Return an instruction of a filter; a test that fails skips `otherwise` instructions."""
    return struct.pack("<HBBI", code, 0, otherwise, value)


def _take(pid: int, number: int) -> int:
    """Return this process's own copy of a descriptor of another process."""
    handle = os.pidfd_open(pid)
    try:
        taken: int = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, handle, number, 0)
    finally:
        os.close(handle)
    assert taken >= 0, os.strerror(ctypes.get_errno())
    return taken


def _watch(listener: int, seen: Traced) -> None:
    names = {number: name for name, number in CALLS[platform.machine()].items()}
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        ((_, event),) = poll.poll()
        if event & select.POLLHUP:
            return  # nobody is left
        shown = bytearray(80)
        with suppress(OSError):  # its thread has ended meanwhile
            ioctl(listener, RECEIVE, shown)
            call, pid, _, number, _, _, *arguments = struct.unpack("<QIIiIQ6Q", shown)
            with suppress(OSError, ValueError):
                _note(names[number], pid, arguments, seen)
            ioctl(listener, SEND, struct.pack("<QqiI", call, 0, 0, GO_ON))


def _note(name: str, pid: int, arguments: Sequence[int], seen: Traced) -> None:
    if name in PATH_OF:
        path = os.fsdecode(_memory(pid, arguments[PATH_OF[name]], 4096).split(b"\0")[0])
        folder = ctypes.c_int(arguments[0] & 0xFFFFFFFF).value if name in IN_FOLDER else HERE
        start = Path(f"/proc/{pid}/cwd" if folder == HERE else f"/proc/{pid}/fd/{folder}").readlink()
        seen.files.add(str(start / path))
        return
    place, length = (arguments[4], arguments[5]) if name == "sendto" else (arguments[1], arguments[2])
    if name in ("sendmsg", "sendmmsg"):  # a message begins with its address
        place, length = struct.unpack("<QI", _memory(pid, arguments[1], 12))
    host = _address(_memory(pid, place, length)) if place and length else None
    if host is not None:
        seen.hosts.add(host)


def _memory(pid: int, place: int, length: int) -> bytes:
    """Return what a process has at a place of its memory, less if the pages end."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123  # unbuffered
        memory.seek(place)
        first = memory.read(min(length, 4096 - place % 4096))
        with suppress(OSError):
            first += memory.read(length - len(first)) if len(first) < length and b"\0" not in first else b""
        return first


def _address(raw: bytes) -> str | None:
    """Return the address in a sockaddr as "host:port"; None on loopback, and for what is no network."""
    (family,) = struct.unpack_from("<H", raw)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    (port,) = struct.unpack_from(">H", raw, 2)
    host = socket.inet_ntop(family, raw[4:8] if family == socket.AF_INET else raw[8:24])
    near = host.removeprefix("::ffff:").startswith("127.") or host in ("::1", "0.0.0.0", "::")  # noqa: S104
    # a name is asked for at port 53, on loopback too
    return None if near and port != 53 else f"{host}:{port}"
