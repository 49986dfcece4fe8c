"""The few plain requests that the harness itself makes: is it up, is it ready, is its answer right."""

import http.client
import math
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.load.answers import Distance, distance
from bench.model import USUAL_TOLERANCE, Payload

POLL_S = 0.005
PROBE_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 30.0


def port_answers(host: str, port: int, timeout_s: float = PROBE_TIMEOUT_S) -> bool:
    """Say whether a connection is accepted."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def get_status(host: str, port: int, path: str) -> int:
    """The status of a GET; 0 without an answer."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def post(host: str, port: int, path: str, payload: Payload) -> tuple[int, bytes]:
    """Status and body of a payload's POST, at its own path if it has one; status 0 without an answer."""
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT_S)
    try:
        headers = {"Content-Type": payload.content_type, **payload.headers}
        connection.request("POST", payload.path or path, payload.body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error).encode()
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer that was checked: what is wrong with it, None if it is right, and how far off it is.

    `off` is the largest difference of a probability from the reference's, None if the answer has none.
    """

    complaint: str | None
    off: float | None


def check(host: str, port: int, path: str, payload: Payload, tolerance: float = USUAL_TOLERANCE) -> Checked:
    """Send a payload and check its answer."""
    status, body = post(host, port, path, payload)
    if status != 200:
        return Checked(f"status {status}" if status else f"no answer ({body.decode(errors='replace')})", None)
    found = distance(body, payload.label, payload.probabilities, payload.reply)
    off = None if found is None or math.isnan(found.most) else found.most
    if found is not None and found.within(tolerance):
        return Checked(None, off)
    return Checked(f"answered {_shown(body)} where {payload.label} is right{_away(found, tolerance)}", off)


def complaint(
    host: str, port: int, path: str, payload: Payload, tolerance: float = USUAL_TOLERANCE
) -> str | None:
    """What is wrong with the answer to a payload; None if it is right."""
    return check(host, port, path, payload, tolerance).complaint


def _away(found: Distance | None, tolerance: float) -> str:
    """How far off an answer with the right label is; empty if something else is wrong with it."""
    if found is None or not found.same_label or math.isnan(found.most):
        return ""
    return f" (a probability is {found.most:.3g} off, at most {tolerance:g} may be)"


def _shown(body: bytes) -> str:
    """The beginning of an answer, fit for a terminal whatever it holds."""
    text = body[:120].decode(errors="replace")
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def wait_until(holds: Callable[[], bool], timeout_s: float, keep_on: Callable[[], bool]) -> int | None:
    """Poll until a condition holds; that instant (monotonic ns), None on timeout or once keep_on is false."""
    deadline = time.monotonic() + timeout_s
    polls = 0
    while True:
        if holds():
            return time.monotonic_ns()
        polls += 1
        if time.monotonic() > deadline or (polls % 20 == 0 and not keep_on()):
            return None
        time.sleep(POLL_S)
