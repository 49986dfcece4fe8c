"""The answers to what is refused before it is a request: bytes that are not HTTP, or too many connections."""

import logging
import secrets
from http import HTTPStatus
from itertools import count

import orjson

log = logging.getLogger("serving_core.http.refusals")


class Refusals:
    """Writes refusals, each with an id of its own."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(4)
        self._numbers = count(1)

    def answer(self, status: int, message: str) -> bytes:
        """Return a whole answer that refuses, and says that the connection is closed."""
        content = orjson.dumps({"error": message})
        request_id = f"refused-{self._prefix}-{next(self._numbers):x}"
        log.debug("refused", extra={"request_id": request_id, "status": status})
        retry = "retry-after: 1\r\n" if status == 503 else ""
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n{retry}"
            f"content-length: {len(content)}\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + content
