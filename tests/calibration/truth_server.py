"""A service whose times are known: each request says how long it is to take, and the server logs what it did.

Run as `python -m tests.calibration.truth_server --port PORT`; it says `ready` on stdout when it is up. The
body of a POST is `ID SERVICE_NS`. `--servers one` serves one request at a time, first come first served;
`many` serves all at once. `GET /log` returns what it did and starts a new log. After `GET /stall` the whole
process pauses for `--stall-for` seconds every `--stall-every`, as a collector or a neighbour would pause it.

A timer of the event loop is late by 0.1 ms here at the median and by a few at worst, so each end is woken for
early and awaited in a busy loop. A queue's ends follow from its arrivals alone: an answer that is written
late does not make the next one late as well.
"""

import argparse
import asyncio
import ctypes
import json
import re
import selectors
import sys
import time
from array import array

ANSWER = b'{"prediction": "known", "probabilities": {"known": 1.0}}'
COLUMNS = ("id", "arrived_ns", "begun_ns", "ended_ns", "replied_ns")
HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
# how long before an end the loop is woken, so that it is awaited and not slept past
EARLY_NS = 250_000
SET_TIMER_SLACK = 29
# from the word to stall to the first pause
FIRST_STALL_S = 5.0


class Service:
    """What serves: when each request begins and ends, the pauses, and the log of both."""

    def __init__(self, one_at_a_time: bool, stall_for_s: float, stall_every_s: float) -> None:
        self._one_at_a_time = one_at_a_time
        self._stall_for_s, self._stall_every_s = stall_for_s, stall_every_s
        self._free_ns = 0
        self.columns: tuple[array[int], ...] = ()
        self.stalls: list[tuple[int, int]] = []
        self.forget()

    def forget(self) -> None:
        """Start a new log."""
        self.columns = tuple(array("q") for _ in COLUMNS)
        self.stalls = []

    def times(self, service_ns: int) -> tuple[int, int, int]:
        """When a request that arrives now has arrived, begins and ends (monotonic ns)."""
        arrived_ns = time.monotonic_ns()
        if not self._one_at_a_time:
            return arrived_ns, arrived_ns, arrived_ns + service_ns
        begun_ns = max(arrived_ns, self._free_ns)
        self._free_ns = begun_ns + service_ns
        return arrived_ns, begun_ns, self._free_ns

    def log(self, *stamps: int) -> None:
        """Keep one request, in the order of COLUMNS."""
        for column, stamp in zip(self.columns, stamps, strict=True):
            column.append(stamp)

    def stall_after(self, seconds: float) -> None:
        """Let the first pause begin so long from now."""
        asyncio.get_running_loop().call_later(seconds, self._stall)

    def _stall(self) -> None:
        """Do nothing at all for a while, and again a period after this began."""
        self.stall_after(self._stall_every_s)
        begun_ns = time.monotonic_ns()
        time.sleep(self._stall_for_s)
        self.stalls.append((begun_ns, time.monotonic_ns()))

    def told(self) -> bytes:
        """The log as JSON."""
        columns = {name: column.tolist() for name, column in zip(COLUMNS, self.columns, strict=True)}
        return json.dumps({"columns": columns, "stalls": self.stalls}).encode()


class Connection(asyncio.Protocol):
    """One kept connection, over which one request at a time comes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._data = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect a request and start it."""
        self._data += data
        end = self._data.find(HEAD_END)
        if end < 0:
            return
        found = LENGTH.search(self._data, 0, end + 2)
        body = self._data[end + len(HEAD_END) :]
        if len(body) < (int(found.group(1)) if found else 0):
            return
        head, self._data = self._data[:end], b""
        if head.startswith(b"GET /log"):
            self._write(self._service.told())
            self._service.forget()
        elif head.startswith(b"GET /stall"):
            self._service.stall_after(FIRST_STALL_S)
            self._write(ANSWER)
        else:
            self._start(*(int(word) for word in body.split()))

    def _start(self, number: int, service_ns: int) -> None:
        arrived_ns, begun_ns, ended_ns = self._service.times(service_ns)
        stamps = (number, arrived_ns, begun_ns, ended_ns)
        if ended_ns - arrived_ns <= EARLY_NS:
            self._end(stamps)
        else:
            asyncio.get_running_loop().call_at((ended_ns - EARLY_NS) / 1e9, self._end, stamps)

    def _end(self, stamps: tuple[int, int, int, int]) -> None:
        while (now_ns := time.monotonic_ns()) < stamps[-1]:
            pass
        self._service.log(*stamps, now_ns)
        self._write(ANSWER)

    def _write(self, body: bytes) -> None:
        if self._transport is not None:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            self._transport.write(head % len(body) + body)


async def serve(port: int, service: Service) -> None:
    """Listen on loopback until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", port, backlog=1024)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


def exact_loop() -> asyncio.AbstractEventLoop:
    """A loop whose timers are exact to microseconds: epoll's, and uvloop's, count in milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.calibration.truth_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--servers", choices=("one", "many"), default="many")
    parser.add_argument("--stall-for", type=float, default=0.0, help="seconds that a pause lasts")
    parser.add_argument("--stall-every", type=float, default=10.0, help="seconds from pause to pause")
    args = parser.parse_args()
    if sys.platform == "linux":
        # the kernel may wake a sleeper 50 us late to wake several at once: not this one
        ctypes.CDLL(None).prctl(SET_TIMER_SLACK, 1, 0, 0, 0)
    service = Service(args.servers == "one", args.stall_for, args.stall_every)
    with asyncio.Runner(loop_factory=exact_loop) as runner:
        runner.run(serve(args.port, service))


if __name__ == "__main__":
    main()
