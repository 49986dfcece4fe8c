"""The null target: it reads each request and always gives the same answer, so that only the driver is slow.

Run it as `python -m bench.load.null_target --port PORT --answer FILE`; it writes `ready` to stdout once up.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path

BUFFER_BYTES = 256 * 1024
HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class NullProtocol(asyncio.BufferedProtocol):
    """Counts a body's bytes and does not keep them; all connections share one receive buffer."""

    def __init__(self, buffer: bytearray, answer: bytes) -> None:
        self._buffer = buffer
        self._answer = answer
        self._head = b""
        self._left = 0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports do not inherit asyncio's

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return the shared buffer: nobody uses its bytes after buffer_updated returns."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count the bytes of a body, and answer at its end."""
        if self._left >= nbytes > 0:
            self._left -= nbytes
            if self._left == 0:
                self._reply()
            return
        self._feed(bytes(self._buffer[:nbytes]))

    def _feed(self, data: bytes) -> None:
        """Read bytes that include at least a part of a head."""
        while data:
            if self._left:
                taken = min(self._left, len(data))
                data, self._left = data[taken:], self._left - taken
            else:
                self._head += data
                end = self._head.find(HEAD_END)
                if end < 0:
                    return
                length = LENGTH.search(self._head, 0, end + 2)
                self._left = int(length.group(1)) if length else 0
                data, self._head = self._head[end + len(HEAD_END) :], b""
            if self._left == 0:
                self._reply()

    def _reply(self) -> None:
        if self._transport is not None:
            self._transport.write(self._answer)


async def serve(port: int, answer: bytes) -> None:
    """Listen on loopback until cancelled; `answer` is the JSON body of every reply."""
    # ab keeps a connection only if the answer says so
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: keep-alive\r\n"
        b"content-length: %d\r\n\r\n" % len(answer)
    )
    buffer = bytearray(BUFFER_BYTES)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: NullProtocol(buffer, head + answer), "127.0.0.1", port, backlog=1024
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.null_target", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--answer", type=Path, required=True, help="file with the JSON that every reply carries"
    )
    args = parser.parse_args(argv)
    serving = serve(args.port, args.answer.read_bytes())
    if sys.platform == "win32":  # for which there is no uvloop
        asyncio.run(serving)
    else:
        import uvloop

        uvloop.run(serving)


if __name__ == "__main__":
    main()
