"""What a stop waits for: connections that the kernel holds, and requests that have begun to arrive."""

import asyncio
import socket

import uvicorn
from uvicorn.server import ServerState

from serving_core.http.protocol import ConnectionLimits, Protocol, limited
from serving_core.process.sockets import queued
from tests.serving_core.echo_service import GET, echo


def test_a_listener_has_a_queue_until_its_connections_are_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not queued(listener)
        with socket.create_connection(listener.getsockname()):
            assert queued(listener)
            accepted, _ = listener.accept()
            with accepted:
                assert not queued(listener)


def test_a_request_has_begun_from_its_connection_on_until_it_is_answered() -> None:
    asyncio.run(_one_connection())


async def _one_connection() -> None:
    config = uvicorn.Config(
        echo, http=limited(ConnectionLimits()), lifespan="off", ws="none", log_config=None
    )
    config.load()
    made: list[Protocol] = []

    def begin() -> Protocol:
        made.append(limited(ConnectionLimits())(config=config, server_state=ServerState(), app_state={}))
        return made[-1]

    server = await asyncio.get_running_loop().create_server(begin, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await _until(made, begun=True)
    for _ in range(2):  # a new connection, and a kept one
        await _answer_in_two_parts(reader, writer, made)
        await _until(made, begun=False)
    writer.close()
    server.close()


async def _answer_in_two_parts(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, made: list[Protocol]
) -> None:
    writer.write(GET[:10])
    await _until(made, begun=True)
    writer.write(GET[10:])
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))


async def _until(made: list[Protocol], *, begun: bool) -> None:
    async with asyncio.timeout(30):
        while not made or made[0].begun() != begun:
            await asyncio.sleep(0)
