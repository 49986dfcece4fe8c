"""An app that answers with what it was sent, served on real sockets, and what its clients need."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from serving_core.http.protocol import ConnectionLimits, limited

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
# What the sockets of the two sides hold is less than the pieces of /long.
SOCKET_BYTES = 4096
LONG_BYTES = (300_000, 60_000)
ABANDONED: list[list[Any]] = []


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the path and the body's length, or with the headers.

    /slow waits, /early and /early-headers do not read, /long says much, /whole and /whole-slow answer at once
    (/whole-close and closes, /whole-late after a begun answer, /whole-odd with a value that no header may
    have), /abandoned waits until its client is gone, and /abandonments tells of that.
    """
    length, more = 0, not scope["path"].startswith("/early")
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] in {"/slow", "/whole-slow"}:
        await asyncio.sleep(0.6)
    answer = [json.dumps([scope["path"], length]).encode()]
    if scope["path"] == "/abandoned":
        while not scope["abandoned"]():
            await asyncio.sleep(0.001)
        ABANDONED.append([scope["path"], length])
        return
    if scope["path"] == "/abandonments":
        while not ABANDONED:
            await asyncio.sleep(0.001)
        answer = [json.dumps([ABANDONED.pop()]).encode()]
    if scope["path"].endswith("headers"):
        answer = [json.dumps([b": ".join(header).decode() for header in scope["headers"]]).encode()]
    if scope["path"] == "/long":
        answer = [b"." * part for part in LONG_BYTES]
    headers = [(b"content-length", b"%d" % sum(map(len, answer)))]
    if scope["path"].startswith("/whole"):
        await answer_at_once(scope, send, headers, answer[0])
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in answer:
        await send({"type": "http.response.body", "body": part, "more_body": part is not answer[-1]})


async def answer_at_once(scope: Any, send: Any, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Answer as the hot routes do; say in a header of the usual answer that the server did not."""
    if scope["path"] == "/whole-odd":
        headers = [*headers, (b"x-odd", b"a\x01")]
    if scope["path"] == "/whole-late":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/whole-close":
        headers = [*headers, (b"connection", b"close")]
    if scope["write_answer"](200, headers, body):
        return
    if scope["path"] != "/whole-late":
        usual = [*headers[:1], (b"x-usual", b"yes")]
        await send({"type": "http.response.start", "status": 200, "headers": usual})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def serving(limits: ConnectionLimits, keep_alive_s: float = 5.0) -> Iterator[Callable[[], socket.socket]]:
    """Serve with these limits; gives a function that connects."""
    options: dict[str, Any] = {"lifespan": "off", "log_config": None, "access_log": False, "loop": "uvloop"}
    options |= {"ws": "none", "timeout_keep_alive": keep_alive_s}
    server = uvicorn.Server(uvicorn.Config(echo, http=limited(limits), **options))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield lambda: connected(listener.getsockname())
        finally:
            server.should_exit = True
            thread.join()


def connected(address: tuple[str, int]) -> socket.socket:
    """Return a connection that takes little at a time."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
    client.settimeout(10)
    client.connect(address)
    return client


def read_all(client: socket.socket) -> bytes:
    """Return all that comes until the connection is closed."""
    answer = b""
    while piece := client.recv(65536):
        answer += piece
    return answer


def read_answer(client: socket.socket) -> bytes:
    """Return one short answer, whole though it may come in pieces."""
    answer = b""
    while not answer.endswith(b"]"):
        piece = client.recv(4096)
        assert piece, "the connection was closed"
        answer += piece
    return answer


def refusal(answer: bytes) -> tuple[int, str, str]:
    """Return the status, the headers and the error of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    content = json.loads(body)
    assert content.keys() == {"error"}
    assert b"connection: close" in head
    assert b"\r\nx-request-id: refused-" in head
    return int(head.split()[1]), head.decode(), content["error"]


def bodies(answers: bytes) -> list[Any]:
    """Return what the answers say."""
    return [json.loads(part.partition(b"\r\n\r\n")[2]) for part in answers.split(b"HTTP/1.1 200 OK")[1:]]
