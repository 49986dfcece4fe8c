"""Clients that ask again and again, each on one connection that it keeps, with little work of their own."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from tests.contract.encodings import Request


def bytes_of(request: Request) -> bytes:
    """Return the whole request as it goes over the wire."""
    lines = [f"POST {request.path} HTTP/1.1", "Host: x", f"Content-Length: {len(request.body)}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + request.body


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> tuple[str, bool]:
    """Send one request and read its whole answer.

    Return its status, or how the connection ended instead, and whether the connection may be used again.
    """
    try:
        writer.write(sent)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
    except asyncio.IncompleteReadError as error:
        return "cut off" if error.partial else "closed", False
    except ConnectionError:
        return "reset", False
    return head.split(b" ", 2)[1].decode(), b"\r\nconnection: close\r\n" not in head


async def until_refused(
    port: int, wires: Sequence[bytes], clients: int, stop: Callable[[], object]
) -> Counter[str]:
    """Let clients ask, each time on a new connection, while the service stops; return all outcomes."""
    outcomes: Counter[str] = Counter()

    async def ask_anew(sent: bytes) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                outcomes["refused"] += 1
                return
            outcome, _ = await ask(reader, writer, sent)
            outcomes[outcome] += 1
            writer.close()

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(ask_anew(wires[number % len(wires)]))
        while outcomes["200"] < clients:
            await asyncio.sleep(0.01)
        stop()
    return outcomes


async def keep_asking(port: int, sent: bytes, outcomes: Counter[str]) -> None:
    """Ask until the service ends the connection, as it does by the last answer that it gives there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    goes_on = True
    while goes_on:
        outcome, goes_on = await ask(reader, writer, sent)
        outcomes[outcome] += 1
    writer.close()


async def until_stopped(
    port: int, requests: Sequence[Request], clients: int, stop: Callable[[], object]
) -> Counter[str]:
    """Let clients ask until the service is told to stop; return what became of all their requests."""
    outcomes: Counter[str] = Counter()
    wires = [bytes_of(request) for request in requests]
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(keep_asking(port, wires[number % len(wires)], outcomes))
        while outcomes["200"] < clients:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(stop)
    return outcomes
