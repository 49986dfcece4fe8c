"""healthcheck.py PORT PATH: exit 0 where the service answers 200.

A bare socket, because the check runs on the service's own core beside what is measured and an HTTP library
takes several times as long to import.
"""

import socket
import sys

port, path = int(sys.argv[1]), sys.argv[2]
try:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        # read to the end: a server that is still writing when its reader goes away logs a fault
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
        status = answer.split(b" ", 2)[1]
except (OSError, IndexError) as error:
    sys.exit(f"port {port}: {error}")
sys.exit(0 if status == b"200" else f"port {port} answers {status.decode()}")
