"""uvicorn's HTTP protocol with two things added: whether the client is gone, and errors in our own form."""

from functools import partial

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class Protocol(HttpToolsProtocol):
    """Gives each request's scope an `abandoned` function, and answers unreadable HTTP with {"error": …}."""

    def on_headers_complete(self) -> None:
        """Begin the request, telling it how to see that its client left."""
        super().on_headers_complete()
        if self.cycle is not None:
            self.scope["abandoned"] = partial(_gone, self.cycle)  # type: ignore[typeddict-unknown-key]  # ours

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, and close: where the next request would begin is unknown."""
        content = orjson.dumps({"error": f"{msg.rstrip('.')}: send HTTP/1.1"})
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n" % len(content)
        )
        self.transport.write(head + content)
        self.transport.close()


def _gone(cycle: RequestResponseCycle) -> bool:
    return cycle.disconnected
