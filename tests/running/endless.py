"""A server whose answers never end, each kind in its own way: real sockets, a thread for each connection."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

BLOCK = 65_536
TRICKLE_S = 0.05


def forever(first: bytes, more: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: itertools.chain([first], itertools.repeat(more))


def trickled(first: bytes, more: bytes) -> Callable[[], Iterable[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield first
        while True:
            time.sleep(TRICKLE_S)
            yield more

    return pieces


OK = b"HTTP/1.1 200 OK\r\n"
CHUNK = b"%x\r\n%s\r\n" % (BLOCK, b"x" * BLOCK)
RIGHT_AND_MORE = b'{"prediction": "rain", "probabilities": {"rain": 0.9, "snow": 0.1}}'
KINDS: dict[str, Callable[[], Iterable[bytes]]] = {
    "body": forever(OK + b"\r\n", b"x" * BLOCK),
    "chunks": forever(OK + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK),
    "promised": forever(OK + b"Content-Length: 99999999999999\r\n\r\n", b"x" * BLOCK),
    "headers": forever(OK, b"X-More: and more\r\n" * 1000),
    "one header": forever(OK + b"X-Long: ", b"x" * BLOCK),
    "interim answers": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "reason": forever(b"HTTP/1.1 200 ", b"x" * BLOCK),
    "size of a chunk": forever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * BLOCK),
    "trickled body": trickled(OK + b"\r\n" + RIGHT_AND_MORE, b" "),
    "trickled headers": trickled(OK, b"X: y\r\n"),
    "silence": trickled(b"", b""),
    "odd bytes": lambda: [b"HTTP/1.1 200 \xff\xfe\r\nX-\xe9: \xff\x00\r\n\r\n\xff"],
    "redirect to itself": lambda: [b"HTTP/1.1 302 Found\r\nLocation: /predict/\r\nContent-Length: 0\r\n\r\n"],
}
FLOODS = [kind for kind in KINDS if "trickled" not in kind and kind != "silence"]


@contextmanager
def endless(kind: str) -> Iterator[int]:
    """Serve answers of this kind on a port of this host."""
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        server.settimeout(0.1)
        threads = [threading.Thread(target=_accept, args=(server, kind, ending))]
        threads[0].start()
        try:
            yield server.getsockname()[1]
        finally:
            ending.set()
            threads[0].join()


def _accept(server: socket.socket, kind: str, ending: threading.Event) -> None:
    answering = []
    while not ending.is_set():
        with suppress(TimeoutError):
            connection, _ = server.accept()
            answering.append(threading.Thread(target=_answer, args=(connection, kind, ending)))
            answering[-1].start()
    for thread in answering:
        thread.join()


def _answer(connection: socket.socket, kind: str, ending: threading.Event) -> None:
    """Read something of the request, and answer for as long as anybody reads."""
    with connection, suppress(OSError):
        connection.settimeout(1.0)
        connection.recv(BLOCK)
        for piece in KINDS[kind]():
            if ending.is_set():
                return
            connection.sendall(piece)
