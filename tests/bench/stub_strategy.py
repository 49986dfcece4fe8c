"""A strategy in pure standard library: answers from a table, after a fixed delay; faults on demand."""

import base64
import hashlib
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LABELS = ("rain", "snow")
DELAY_S = float(os.environ.get("STUB_DELAY_S", "0.005"))
WRONG_EVERY = int(os.environ.get("STUB_WRONG_EVERY", "0"))
FAIL_EVERY = int(os.environ.get("STUB_FAIL_EVERY", "0"))
FAIL_STATUS = int(os.environ.get("STUB_FAIL_STATUS", "500"))
DIE_AFTER = int(os.environ.get("STUB_DIE_AFTER", "0"))
counter_lock = threading.Lock()
served = 0
computed_s: list[float] = []


def answer(image: bytes) -> dict[str, Any]:
    """The label follows from the image's bytes, as the test's manifest says too."""
    label = LABELS[hashlib.sha256(image).digest()[0] % 2]
    return {"prediction": label, "probabilities": {name: 0.9 if name == label else 0.1 for name in LABELS}}


def image_of(body: bytes, content_type: str) -> bytes:
    return base64.b64decode(json.loads(body)["image"]) if "json" in content_type else body


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.send(200, "text/plain", metrics().encode())
        else:
            self.reply(200, {"served": served})

    def do_POST(self) -> None:
        global served
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with counter_lock:
            served += 1
            number = served
        if DIE_AFTER and number > DIE_AFTER:
            os._exit(7)
        begun = time.perf_counter()
        time.sleep(DELAY_S)
        with counter_lock:
            computed_s.append(time.perf_counter() - begun)
        found = answer(image_of(body, self.headers["Content-Type"]))
        if WRONG_EVERY and number % WRONG_EVERY == 0:
            found["prediction"] = "hail"
        self.reply(FAIL_STATUS if FAIL_EVERY and number % FAIL_EVERY == 0 else 200, found)

    def reply(self, status: int, content: dict[str, Any]) -> None:
        self.send(status, "application/json", json.dumps(content).encode())

    def send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
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
