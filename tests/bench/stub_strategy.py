"""A strategy in pure standard library: answers from a table, after a fixed delay; faults on demand."""

import base64
import gzip
import hashlib
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LABELS = ("rain", "snow")
MODEL = "stub"
COPY_MARK = b"bench copy "
DELAY_S = float(os.environ.get("STUB_DELAY_S", "0.005"))
WRONG_EVERY = int(os.environ.get("STUB_WRONG_EVERY", "0"))
FAIL_EVERY = int(os.environ.get("STUB_FAIL_EVERY", "0"))
FAIL_STATUS = int(os.environ.get("STUB_FAIL_STATUS", "500"))
DIE_AFTER = int(os.environ.get("STUB_DIE_AFTER", "0"))
TOKEN = os.environ.get("STUB_TOKEN", "")
CERTIFICATE = os.environ.get("STUB_CERTIFICATE", "")
MOVED_TO = os.environ.get("STUB_MOVED_TO", "")
GZIP = os.environ.get("STUB_GZIP", "") == "1"
KEEPS = os.environ.get("STUB_KEEPS", "") == "1"
kept: set[bytes] = set()
counter_lock = threading.Lock()
served = 0
computed_s: list[float] = []
# what clients said of where they go, and how often they connected
seen: dict[str, Any] = {"connections": 0, "hosts": [], "names": [], "delay_s": DELAY_S}


def answer(image: bytes) -> dict[str, Any]:
    """The label follows from the image's bytes, as the test's manifest says too.

    What bench appends to an image is past its end: it counts for nothing, as for a decoder.
    """
    label = LABELS[hashlib.sha256(image.partition(COPY_MARK)[0]).digest()[0] % 2]
    return {"prediction": label, "probabilities": {name: 0.9 if name == label else 0.1 for name in LABELS}}


def image_of(body: bytes, content_type: str) -> bytes:
    """The image that a request to /predict/ holds."""
    if "json" in content_type:
        return base64.b64decode(json.loads(body)["image"])
    if "msgpack" in content_type:
        begin = len(b"\x81\xa5image") + 1
        return body[begin + {0xC4: 1, 0xC5: 2, 0xC6: 4}[body[begin - 1]] :]
    if "multipart" in content_type:
        end = b"\r\n--" + content_type.partition("boundary=")[2].encode()
        return body.partition(b"\r\n\r\n")[2].rpartition(end)[0]
    return body


def infer_image_of(body: bytes, json_bytes: int | None) -> tuple[bytes, bool]:
    """The image that an inference request holds, and whether its answer is to be binary."""
    if json_bytes == 0:
        return body, True
    request = json.loads(body[:json_bytes])
    assert [output["name"] for output in request["outputs"]] == ["label", "probabilities"]
    if json_bytes is not None:
        return body[json_bytes + 4 :], request["parameters"]["binary_data_output"]
    return base64.b64decode(request["inputs"][0]["data"][0]), False


def packed(value: Any) -> bytes:
    """The msgpack of an answer."""
    if isinstance(value, dict):
        return bytes([0x80 + len(value)]) + b"".join(packed(part) for item in value.items() for part in item)
    if isinstance(value, str):
        return bytes([0xA0 + len(value)]) + value.encode()
    return b"\xcb" + struct.pack(">d", value)


def tensors(found: dict[str, Any], binary: bool) -> bytes:
    """An answer in the open inference protocol."""
    label, row = found["prediction"], list(found["probabilities"].values())
    outputs = [
        {"name": "label", "datatype": "BYTES", "shape": [1], "data": [label]},
        {"name": "probabilities", "datatype": "FP32", "shape": [1, len(row)], "data": row},
    ]
    if not binary:
        return json.dumps({"model_name": MODEL, "outputs": outputs}).encode()
    parts = [struct.pack("<I", len(label)) + label.encode(), struct.pack(f"<{len(row)}f", *row)]
    for output, part in zip(outputs, parts, strict=True):
        del output["data"]
        output["parameters"] = {"binary_data_size": len(part)}
    return json.dumps({"model_name": MODEL, "outputs": outputs}).encode() + b"".join(parts)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        with counter_lock:
            seen["connections"] += 1

    def do_GET(self) -> None:
        if self.path == "/seen":
            self.reply(200, seen)
        elif self.path == "/metrics":
            self.send(200, "text/plain", metrics().encode())
        else:
            self.reply(200, {"served": served})

    def do_POST(self) -> None:
        global served
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if TOKEN and self.headers["Authorization"] != TOKEN:
            self.reply(401, {"error": "who are you?"})
            return
        if MOVED_TO and self.path != MOVED_TO:
            self.send(307, "text/plain", b"", Location=MOVED_TO)
            return
        with counter_lock:
            if self.headers["Host"] not in seen["hosts"]:
                seen["hosts"].append(self.headers["Host"])
            served += 1
            number = served
        if DIE_AFTER and number > DIE_AFTER:
            os._exit(7)
        begun = time.perf_counter()
        if not KEEPS or body not in kept:
            time.sleep(DELAY_S)
            kept.add(body)
        with counter_lock:
            computed_s.append(time.perf_counter() - begun)
        self.answer(body, FAIL_STATUS if FAIL_EVERY and number % FAIL_EVERY == 0 else 200, number)

    def answer(self, body: bytes, status: int, number: int) -> None:
        """Answer in the form that the request asks for."""
        kind, length = self.headers["Content-Type"], self.headers["Inference-Header-Content-Length"]
        infer, binary = self.path.startswith("/v2/"), False
        if infer and self.path != f"/v2/models/{MODEL}/infer":
            self.reply(404, {"error": "no such model"})
            return
        if infer:
            image, binary = infer_image_of(body, None if length is None else int(length))
        else:
            image = image_of(body, kind)
        found = answer(image)
        if WRONG_EVERY and number % WRONG_EVERY == 0:
            found["prediction"] = "hail"
        if infer:
            form = "application/octet-stream" if binary else "application/json"
            self.send(status, form, tensors(found, binary))
        elif "msgpack" in kind:
            self.send(status, kind, packed(found))
        else:
            self.reply(status, found)

    def reply(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send(status, "application/json", gzip.compress(body) if GZIP else body)

    def send(self, status: int, content_type: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


def metrics() -> str:
    """What a service tells: the stub computes one at a time."""
    with counter_lock:
        count, seconds = len(computed_s), sum(computed_s)
    return (
        "# TYPE stage_duration_seconds histogram\n"
        f'stage_duration_seconds_sum{{stage="infer",model="m"}} {seconds}\n'
        f'stage_duration_seconds_count{{stage="infer",model="m"}} {count}\n'
        "# TYPE batch_size histogram\n"
        f'batch_size_bucket{{le="1.0",model="m"}} {count}\n'
        f'batch_size_bucket{{le="+Inf",model="m"}} {count}\n'
        f'batch_size_sum{{model="m"}} {count}\n'
    )


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)
        if CERTIFICATE:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            context.sni_callback = lambda _sock, name, _context: name_seen(name)
            # the handshake is the connection's own thread's, which reads first
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or refuses the certificate, is nothing to write home about."""


def name_seen(name: str | None) -> None:
    """Keep the name that a client asked for."""
    with counter_lock:
        if name not in seen["names"]:
            seen["names"].append(name)


def loop() -> None:
    request = json.load(sys.stdin)
    bodies = [base64.b64decode(body) for body in request["bodies"]]
    parts = {
        part: {"requests": 100, "seconds": request["part_seconds"], "cpu_seconds": 0.01}
        for part in request["parts"]
    }
    parts["infer"]["batch_size"] = 4
    begun, cpu, requests = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begun < request["seconds"]:
        answer(image_of(bodies[requests % len(bodies)], request["content_type"]))
        requests += 1
    print("a line before the last, which must be ignored")
    print(
        json.dumps(
            {
                "requests": requests,
                "seconds": time.perf_counter() - begun,
                "cpu_seconds": time.process_time() - cpu,
                "answers": [answer(image_of(body, request["content_type"])) for body in bodies],
                "parts": parts,
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["loop"]:
        loop()
    else:
        Server((os.environ.get("HOST", "0.0.0.0"), int(os.environ["PORT"])), Handler).serve_forever()  # noqa: S104  # all addresses, as inside a container
