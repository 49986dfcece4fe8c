"""The way into a container: its own address, or a port that the engine publishes."""

import socket
from typing import Any

from bench.measure.instance import StartError

# a first packet that a busy host loses is sent again after a second
REACH_TIMEOUT_S = 3.0


def find_address(
    container: Any, port: int, published: int | None, chosen: str, reach: str | None = None
) -> tuple[str, int, str]:
    """Host, port and kind of the way in: the container's own address where it is reached, else loopback.

    A published port goes through a proxy process of the engine, whose copying would be measured too. `chosen`
    is the kind that earlier starts took, "" before the first: raises StartError where it is not to be had.
    With `reach` it is the published port on that address, which is the same way in for every host.
    """
    if reach is not None:
        if published is None:
            raise StartError(f"container port {port} is not published: other hosts cannot reach it")
        return reach, published, "published"
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    for address in (network.get("IPAddress") for network in networks):
        if address and chosen != "published" and is_reachable(address, port):
            return address, port, "bridge"
    container.reload()
    if chosen == "bridge" or not container.attrs["State"]["Running"]:
        # another way in would cost other copying: trials of one run must all take the same
        raise StartError(f"the container's own address cannot be reached on port {port}")
    if published is None:
        raise StartError(f"container port {port} is neither reachable nor published: publish it on loopback")
    return "127.0.0.1", published, "published"


def is_reachable(address: str, port: int) -> bool:
    """Say whether packets get there: a refused connection answers that as well as an accepted one."""
    try:
        with socket.create_connection((address, port), timeout=REACH_TIMEOUT_S):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
