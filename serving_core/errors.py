"""The errors a service can end with or answer with."""

import math


class StartError(Exception):
    """The service cannot start; the message is one line that says what is wrong and how to put it right."""


class StoreError(StartError):
    """The model could not be brought here whole and verified."""


class RequestError(Exception):
    """A request is refused: `status` and `message` go to the client, `retry_after_s` as whole seconds."""

    def __init__(self, status: int, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        # Set where the client may still be sending: what follows on its connection is not a new request.
        self.closes = False
        self.retry_after_s = None if retry_after_s is None else max(1, math.ceil(round(retry_after_s, 3)))


def fault() -> RequestError:
    """Return the refusal of a request that failed through no fault of its sender's."""
    return RequestError(500, "this is our fault: report it with the X-Request-Id of this answer")
