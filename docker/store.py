"""store.py OPTIONS: the stand-in for Google Cloud Storage. Anybody may read it; only the publisher may write.

The publisher is who reaches the store at the address that STORE_WRITTEN_AT names, an alias in a network of
their own: Docker lets no packet from another network through to it. A process of the store's own machine may
write too.
"""

import os
import socket
import sys
from functools import cache

from gcp_storage_emulator import __main__ as emulator
from gcp_storage_emulator import server

LOOPBACK = "127.0.0.1"


@cache
def written_at() -> str:
    """The address at which the store is written."""
    return socket.gethostbyname(os.environ.get("STORE_WRITTEN_AT") or LOOPBACK)


class Handler(server.RequestHandler):
    """Refuses what would change the store, unless the publisher asks."""

    timeout = 20  # one request at a time is answered, so nobody may hold the store for longer

    def parse_request(self) -> bool:
        """Read the request's head; answer it at once if it is refused."""
        if not super().parse_request():
            return False
        # the emulator takes another method's name from a header
        reads = self.command == "GET" and "x-http-method-override" not in self.headers
        if reads or self.may_write():
            return True
        self.send_error(403, "only the publisher may write here")
        return False

    def may_write(self) -> bool:
        """Tell whether the connection came in where the store is written."""
        address = self.connection.getsockname()[0]
        if address == LOOPBACK:
            return True
        try:
            return bool(address == written_at())
        except OSError:
            return False


if __name__ == "__main__":
    server.RequestHandler = Handler
    # a GET that would empty the store
    server.HANDLERS = tuple(entry for entry in server.HANDLERS if "wipe" not in entry[0])
    emulator.main(sys.argv[1:])
