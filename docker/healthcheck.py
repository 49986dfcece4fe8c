"""healthcheck.py PORT PATH: exit 0 if the service answers 200.

It uses a bare socket, because the check runs on the core of the measured service, and the import of an HTTP
library takes several times as long.
"""

import socket
import sys

port, path = int(sys.argv[1]), sys.argv[2]
try:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        # read to the end: a server that is still writing when its reader closes logs an error
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
        status = answer.split(b" ", 2)[1]
except (OSError, IndexError) as error:
    sys.exit(f"port {port}: {error}")
sys.exit(0 if status == b"200" else f"port {port} answers {status.decode()}")
