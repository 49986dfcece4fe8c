"""A strategy in pure standard library: sums token ids, states its model, and jitters or refuses on demand."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VOCABULARY = int(os.environ.get("STUB_VOCABULARY", "0"))
JITTER = float(os.environ.get("STUB_JITTER", "0"))
REFUSE_AT = int(os.environ.get("STUB_REFUSE_AT", "0"))
# what stands before "/infer", and a query behind it, of the only model that there is
MODEL_PATH = os.environ.get("STUB_MODEL_PATH", "")
QUERY = os.environ.get("STUB_QUERY", "")
STATES = os.environ.get("STUB_STATES", "1") == "1"
MODEL = {
    "name": "encoder",
    "inputs": [
        {"name": "tokens", "datatype": "INT64", "shape": [-1, -1]},
        {"name": "scale", "datatype": "FP32", "shape": [-1]},
    ],
    "outputs": [{"name": "embedding", "datatype": "FP32", "shape": [-1, 2]}],
}
served = 0


def embedding(tokens: list[int], scale: float) -> list[float]:
    if VOCABULARY and max(tokens) >= VOCABULARY:
        raise IndexError("index out of range")
    return [scale * sum(tokens) + JITTER * served, len(tokens) / 7]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        known = STATES or not self.path.startswith("/v2/models/")
        self.reply(200 if known and self.is_here("") else 404, MODEL)

    def do_POST(self) -> None:
        global served
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        served += 1
        if not self.is_here("/infer"):
            self.reply(404, {"error": f"there is no {self.path}"})
            return
        if REFUSE_AT and served == REFUSE_AT:
            self.reply(422, {"error": "these tokens are not for me"})
            return
        try:
            self.reply(200, self.inferred(body) if "/infer" in self.path else self.predicted(body))
        except IndexError as error:
            self.reply(500, {"error": str(error)})

    def is_here(self, end: str) -> bool:
        return not MODEL_PATH or self.path == f"{MODEL_PATH}{end}?{QUERY}"

    def predicted(self, body: Any) -> Any:
        return {"embedding": embedding(body["tokens"], body["scale"])}

    def inferred(self, body: Any) -> Any:
        tokens, scale = (tensor["data"] for tensor in body["inputs"])
        output = {"name": "embedding", "datatype": "FP32", "shape": [1, 2], "data": embedding(tokens, *scale)}
        return {"model_name": "encoder", "outputs": [output]}

    def reply(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
