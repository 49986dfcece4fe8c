"""A client's session whose TLS connection is idle: `python -m tests.bench.idle_session PORT CA`.

It writes as JSON whether there was something to read from the idle connection, whether the connection was
kept all the same, and whether it was kept once the server had closed it. A process of its own, as Locust
patches the standard library.
"""

import json
import sys
from pathlib import Path

import gevent
from locust.env import Environment

from bench.load.client import Client
from bench.load.drive_plan import DrivePlan
from bench.model import Access

PAUSE_S = 0.5


def main() -> None:
    """Connect, be idle, connect again."""
    port, ca = int(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8")
    Client.host = f"http://localhost:{port}"
    Client.plan = DrivePlan(
        "localhost",
        port,
        "/",
        1,
        None,
        "poisson",
        1,
        1,
        1,
        1,
        5,
        1,
        0.02,
        "",
        (),
        "",
        "",
        access=Access(True, ca),
    )
    session = Client(Environment(user_classes=[Client]), 1).session
    first = session._connection()
    session.return_socket(first)
    gevent.sleep(PAUSE_S)
    readable = bool(session._poll.poll(0))
    again = session._connection()
    kept = again is first
    # the server closes on the first byte
    again.sendall(b"x")
    session.return_socket(again)
    gevent.sleep(PAUSE_S)
    sys.stdout.write(json.dumps([readable, kept, session._connection() is again]))


if __name__ == "__main__":
    main()
