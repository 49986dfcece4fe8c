"""A real emulator of Google Cloud Storage, and a small HTTP store in front of it that fails as it is told."""

import contextlib
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.running.ports import free_port
from tests.running.tiny import Tiny, starter


@dataclass(frozen=True)
class Answer:
    """What a handler sends: `cut` bytes fewer than its Content-Length promises when it is not 0.

    It waits `pause_s` before each byte of the body, and before the status too where it is `silent`.
    """

    status: int
    body: bytes = b""
    cut: int = 0
    pause_s: float = 0.0
    silent: bool = False
    version: str = ""


@dataclass
class FaultyStore:
    """Forwards to the emulator unless `fault` answers instead; remembers every request line."""

    url: str
    seen: list[str] = field(default_factory=list)
    fault: Callable[[str], Answer | None] = lambda _: None
    closed: threading.Event = field(default_factory=threading.Event)

    def downloads(self) -> list[str]:
        return [line for line in self.seen if "alt=media" in line]


@pytest.fixture
def answer() -> type[Answer]:
    """The class of answers that a faulty store sends."""
    return Answer


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """The emulator's address."""
    port = free_port()
    command = ["start", "--host", "127.0.0.1", "--port", str(port), "--in-memory", "--quiet"]
    command += ["--default-bucket", "models"]
    with subprocess.Popen([sys.executable, "-m", "gcp_storage_emulator", *command]) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(2000):
            try:
                with urlopen(url, timeout=1):
                    break
            except OSError:
                time.sleep(0.05)
        yield url
        process.kill()


@pytest.fixture
def put(emulator: str) -> Callable[[str, bytes], None]:
    """Puts an object into the bucket `models`."""

    def put_object(name: str, content: bytes) -> None:
        _send("POST", f"{emulator}/upload/storage/v1/b/models/o?uploadType=media&name={name}", content)

    return put_object


@pytest.fixture
def store(emulator: str) -> Iterator[FaultyStore]:
    """A faulty store in front of the emulator."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    faulty = FaultyStore(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = _handler(faulty, emulator)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield faulty
    faulty.closed.set()
    server.shutdown()
    thread.join()
    server.server_close()
    gc.collect()  # what a broken transfer left falls under this test's warning filter, no other's


def _handler(faulty: FaultyStore, upstream: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            faulty.seen.append(self.path)
            answer = faulty.fault(self.path) or _send("GET", upstream + self.path, None)
            if answer.silent and faulty.closed.wait(answer.pause_s):
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer.body)))
            if answer.version:
                self.send_header("ETag", answer.version)
            self.end_headers()
            if self.command != "HEAD":
                self.write(answer.body[: len(answer.body) - answer.cut], answer.pause_s)
            self.close_connection = True

        def write(self, body: bytes, pause_s: float) -> None:
            pieces = [body] if not pause_s else [body[at : at + 1] for at in range(len(body))]
            with contextlib.suppress(ConnectionError):  # a client may have given up
                for piece in pieces:
                    if pause_s and faulty.closed.wait(pause_s):
                        return
                    self.wfile.write(piece)

        do_HEAD = do_GET  # noqa: N815 - the standard library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _send(method: str, url: str, body: bytes | None) -> Answer:
    try:
        request = Request(url, body, {"Content-Type": "application/octet-stream"}, method=method)  # noqa: S310 - our own address
        with urlopen(request, timeout=120) as answer:  # noqa: S310 - our own address
            return Answer(answer.status, answer.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, error.read())


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Callable[..., Tiny]]:
    """Starts tiny services, tiny(*orders, **environment), which are ended at the end."""
    with starter(tmp_path) as start:
        yield start
