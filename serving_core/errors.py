"""The errors with which a service ends or answers."""

import math


class StartError(Exception):
    """The service cannot start; the message says in one line what is wrong and how to correct it."""


class StoreError(StartError):
    """The model could not be downloaded whole and verified."""


class RequestError(Exception):
    """A request is refused: `status` and `message` go to the client, `retry_after_s` as whole seconds."""

    def __init__(self, status: int, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        # Set if the client may still be sending: the next bytes on its connection do not begin a request.
        self.closes = False
        self.retry_after_s = None if retry_after_s is None else max(1, math.ceil(round(retry_after_s, 3)))


def fault() -> RequestError:
    """Return the refusal of a request that failed by a fault of the service."""
    return RequestError(500, "this is our fault: report it with the X-Request-Id of this answer")
