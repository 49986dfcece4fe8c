"""What a service says, as a message has it: its last line, and why it refuses."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bench.measure.http_client import check
from bench.measure.payloads import Payload
from bench.measure.runtime.log_lines import SHOWN_CHARACTERS, last_words
from bench.model.expectations import LabelExpectation


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("first\nno model\n\n", "no model"),
        ('{"time":"t","level":"error","message":"cannot start: may not be read:\\n log in"}\n',
         "cannot start: may not be read: log in"),
        ('{"message": 3}', '{"message": 3}'),
        ('{"message": " "}', '{"message": " "}'),
        ('["message"]', '["message"]'),
        ('{"message": "cut', '{"message": "cut'),
        ("[" * 100_000, "[" * SHOWN_CHARACTERS),
        ('{"message": "' + "a" * 1000 + '"}', "a" * SHOWN_CHARACTERS),
    ],
)  # fmt: skip
def test_the_last_words_are_the_message_of_a_record(log: str, words: str) -> None:
    assert last_words(log) == words


class Refusing(BaseHTTPRequestHandler):
    """Says why it refuses, as the services do."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(422)
        self.end_headers()
        self.wfile.write(b'{"error": "the image is truncated: send a whole one"}')

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_a_refusal_is_told_with_what_the_service_says() -> None:
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    expect = LabelExpectation("rain", {"rain": 0.9})
    payload = Payload("a", "seed", "raw", "application/octet-stream", b"a", expect)
    found = check("127.0.0.1", server.server_port, "/predict/", payload)
    server.shutdown()
    server.server_close()
    assert found.complaint == "status 422"
    assert found.said == '{"error": "the image is truncated: send a whole one"}'
