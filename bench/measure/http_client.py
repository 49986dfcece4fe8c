"""The few plain requests that the harness itself makes: is it up, is it ready, is its answer right."""

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.measure.bounded_http import FAULTS, answer_to, whole_body
from bench.measure.hidden_values import without_values
from bench.model import PLAIN, USUAL_TOLERANCE, Access, Payload
from bench.model.expectations import LabelExpectation
from bench.request_sets.comparators import Measure, comparator_of, comparison

POLL_S = 0.005
PROBE_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 30.0
SHOWN_CHARACTERS = 120
# statuses from here on refuse, and their bodies say why
REFUSED = 400
GZIP = b"\x1f\x8b"
# OpenSSL's codes for a certificate of an authority that nobody named
NO_AUTHORITY = (18, 19, 20, 21)


def port_answers(host: str, port: int, timeout_s: float = PROBE_TIMEOUT_S) -> bool:
    """Say whether a connection is accepted."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def get_status(host: str, port: int, path: str) -> int:
    """The status of a GET; 0 without an answer."""
    try:
        with answer_to("GET", host, port, path, timeout_s=PROBE_TIMEOUT_S) as answer:
            return answer.status
    except FAULTS:
        return 0


def post(host: str, port: int, path: str, payload: Payload, access: Access = PLAIN) -> tuple[int, bytes]:
    """Status and body of a payload's request, at its own path if it has one; status 0 without an answer."""
    headers = {"Content-Type": payload.content_type, **payload.headers}
    target, sent = payload.path or path, payload.body
    try:
        with answer_to(
            payload.method,
            host,
            port,
            target,
            timeout_s=ANSWER_TIMEOUT_S,
            body=sent,
            headers=headers,
            access=access,
        ) as answer:
            return answer.status, whole_body(answer)
    except FAULTS as error:
        return 0, in_words(error).encode(errors="replace")


def in_words(error: Exception) -> str:
    """Why there is no answer, with the remedy if the kind of the fault shows it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"certificate verify failed: {error.verify_message.rstrip('.')}"
        return (
            f"{why}; give --ca the authority that vouches for it"
            if error.verify_code in NO_AUTHORITY
            else why
        )
    if isinstance(error, ssl.SSLError):
        return f"{error}; see that it speaks https, and demands no certificate of its clients"
    if isinstance(error, (ConnectionResetError, BrokenPipeError, http.client.BadStatusLine)):
        return f"{error}; see that it speaks HTTP/1.1, and write https:// if it speaks TLS"
    return str(error)


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer that was checked: what is wrong with it, None if it is right, and how far off it is.

    `off` is the distance that the comparator measures, None if the answer has none; `measure` says of what.
    `status` is the answer's, 0 without an answer; `said` is the beginning of what a refusal says.
    """

    complaint: str | None
    off: float | None
    measure: Measure | None = None
    status: int = 200
    said: str = ""


def check(
    host: str,
    port: int,
    path: str,
    payload: Payload,
    tolerance: float = USUAL_TOLERANCE,
    access: Access = PLAIN,
) -> Checked:
    """Send a payload and check its answer."""
    return checked(post(host, port, path, payload, access), payload, tolerance, access)


def checked(
    answer: tuple[int, bytes], payload: Payload, tolerance: float = USUAL_TOLERANCE, access: Access = PLAIN
) -> Checked:
    """Check the answer to a payload: its status and body."""
    status, body = answer
    if not 200 <= status < 300:
        said = shown(body, access) if status >= REFUSED else ""
        return Checked(_failure(status, body, access), None, status=status, said=said)
    found = comparison(payload.expect, payload.reply, tolerance)(body)
    measure = comparator_of(payload.expect).measure
    if found.right:
        return Checked(None, found.off, measure)
    label = payload.expect.label if isinstance(payload.expect, LabelExpectation) else "another answer"
    away = f" ({printable(without_values(found.complaint, access))})" if found.complaint else ""
    return Checked(f"answered {shown(body, access)} where {label} is right{away}", found.off, measure)


def complaint(
    host: str,
    port: int,
    path: str,
    payload: Payload,
    tolerance: float = USUAL_TOLERANCE,
    access: Access = PLAIN,
) -> str | None:
    """What is wrong with the answer to a payload; None if it is right."""
    return check(host, port, path, payload, tolerance, access).complaint


def _failure(status: int, body: bytes, access: Access) -> str:
    """What is wrong if there is no answer, or one with another status; redirects are not followed."""
    if not status:
        return f"no answer ({without_values(body.decode(errors='replace'), access)})"
    moved = ", a redirect, which is not followed: give the final address" if 300 <= status < 400 else ""
    return f"status {status}{moved}"


def shown(body: bytes, access: Access) -> str:
    """The beginning of an answer, fit for a terminal whatever it holds."""
    if body.startswith(GZIP):
        return "with gzip, which it was not asked for: switch that off,"
    return printable(without_values(body.decode(errors="replace"), access)[:SHOWN_CHARACTERS])


def printable(text: str) -> str:
    """A text of somebody else's on one line."""
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
