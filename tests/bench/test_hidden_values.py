"""No value of a header from the environment is shown, though a service sends back what it was sent."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bench.cli import main
from bench.errors import BenchError, UsageError
from bench.load.drive_plan import MOST_ANSWER_BYTES
from bench.measure.hidden_values import MARK, holds_value, without_values
from bench.measure.http_client import complaint
from bench.model import Access, Payload
from bench.model.expectations import (
    Expectation,
    ExpectedTensor,
    JsonExpectation,
    LabelExpectation,
    NoExpectation,
    TensorsExpectation,
)
from bench.request_sets.comparators import comparison
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import InputTensor, SetRequest
from bench.verbs.asking import AskedService, running
from bench.verbs.attached_arguments import read_attached
from bench.verbs.parser import build_parser

SENT = 'Bearer s3cr3t"t0k3n-0123456789-abcdefghij-klmnopqrstuvw'
ACCESS = Access(variables={"Authorization": "BENCH_TOKEN", "X-Version": "BENCH_VERSION"})


class Echo(BaseHTTPRequestHandler):
    """Answers with the header that it was sent: as text, and in the places where outputs stand."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = self.headers["Authorization"]
        pad = self.path.removeprefix("/")
        told = {"pad": "x" * int(pad if pad.isdigit() else 0), "seen": said, "out": [said]}
        if pad == "changing":
            self.server.number += 1  # type: ignore[attr-defined]  # of this test's own
            told["seen"] = f"{said} {self.server.number}"  # type: ignore[attr-defined]  # as above
        body = json.dumps(told)
        self.send_response(400 if pad in ("", "v2/models/m/infer") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setenv("BENCH_TOKEN", SENT)
    monkeypatch.setenv("BENCH_VERSION", "1")
    server = HTTPServer(("127.0.0.1", 0), Echo)
    server.number = 0  # type: ignore[attr-defined]  # of this test's own
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "expect",
    [
        LabelExpectation("rain", {"rain": 1.0}),
        JsonExpectation({"pad": "", "seen": "another", "out": ["another"]}),
        TensorsExpectation((ExpectedTensor("out", "BYTES", (1,), ("another",)),)),
    ],
)
@pytest.mark.parametrize("pad", [0, 85, 1000])
def test_an_answer_that_echoes_headers_is_shown_without_their_values(
    port: int, expect: Expectation, pad: int
) -> None:
    payload = Payload("a", "seed", "json", "application/json", b"{}", expect, path=f"/{pad}")
    told = complaint("127.0.0.1", port, "/", payload, access=ACCESS)
    assert told is not None
    assert "answered {" in told
    assert "s3cr3t" not in told
    assert (MARK in told) or pad == 1000


def test_a_service_that_is_asked_is_quoted_without_them(port: int) -> None:
    service = AskedService("the service", "127.0.0.1", port, "/v2/models/m", ACCESS)
    number = InputTensor("n", "BYTES", (1,), (b"a",), text=True)
    with pytest.raises(UsageError, match=f"with 400 .*{MARK}") as refusal:
        service.require_computes([SetRequest("one", (number,), JsonExpectation(1))])
    assert "s3cr3t" not in str(refusal.value)


def record(folder: Path, port: int, place: str, *words: str, count: int = 1) -> int:
    """Record what the echo says into a set of requests; returns the exit code."""
    folder.mkdir(exist_ok=True)
    requests = [
        {"name": name, "json": {"say": name}, "expect": {"compare": "unchecked"}}
        for name in ("one", "two")[:count]
    ]
    (folder / "manifest.json").write_text(json.dumps({"schema_version": 2, "requests": requests}))
    url = f"http://127.0.0.1:{port}/{place}"
    where = ("--requests", str(folder), "--url", url, "--header-env", "Authorization=BENCH_TOKEN")
    return main(["requests", "record", *where, *words])


@pytest.mark.parametrize("words", [(), ("--compare", "bytes"), ("--ignore", "/seen")])
def test_no_manifest_keeps_a_value_that_the_service_sends_back(
    port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert record(tmp_path / "set", port, "0", *words) == 2
    assert capsys.readouterr().err == (
        "bench: the answer to one holds the value of a header or a query, which no manifest may keep: "
        "leave its place out with --ignore, or choose --compare unchecked\n"
    )
    assert read_request_set(tmp_path / "set").requests[0].expect == NoExpectation()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--compare", "bytes", "--tolerance", "0.1"), "--tolerance is for --compare label and json, and"),
        (
            ("--compare", "json", "--top", "3"),
            "--top is for --compare top-k, and answers are compared as json:",
        ),
        (("--ignore", "/seen", "--ignore", "/out", "--rtol", "1"), "--rtol is for --compare tensors, and"),
        (
            ("--compare", "unchecked", "--ignore", "/a"),
            "--ignore is for --compare json, and answers are compared",
        ),
    ],
)
def test_an_option_that_counts_for_nothing_is_one_line(
    port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    assert record(tmp_path / "set", port, "0", *words) == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1
    assert read_request_set(tmp_path / "set").requests[0].expect == NoExpectation()


def test_a_place_that_is_ignored_is_not_kept(port: int, tmp_path: Path) -> None:
    assert record(tmp_path / "set", port, "0", "--ignore", "/seen", "--ignore", "/out/*") == 0
    assert "s3cr3t" not in (tmp_path / "set" / "manifest.json").read_text()
    (request,) = read_request_set(tmp_path / "set").requests
    compare = comparison(request.expect, "as-is", 0.0)
    assert compare(json.dumps({"pad": "", "seen": SENT, "out": [SENT]}).encode()).right
    assert not compare(json.dumps({"pad": "x", "seen": SENT, "out": [SENT]}).encode()).right


def test_a_set_whose_answers_are_alike_is_recorded_and_told(
    port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert record(tmp_path / "set", port, "0", "--ignore", "/seen", "--ignore", "/out", count=2) == 0
    assert capsys.readouterr().err == (
        "bench: the answers to class default are not told apart: in 100% of its pairs of requests the answer "
        "to the one is right for the other too: their right answers are the same: make requests whose "
        "answers differ\n"
    )


def test_answers_that_differ_are_told_without_the_value(
    port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert record(tmp_path / "set", port, "changing") == 4
    told = capsys.readouterr().err
    assert "the two answers to one differ, /seen is " in told
    assert MARK in told
    assert "s3cr3t" not in told


def test_a_key_in_the_query_is_in_no_message() -> None:
    """A service that does not know a path repeats it, as it was sent or as it was meant."""
    (service,) = read_attached(
        build_parser(["run"]).parse_args(["run", "--url", "mine=http://127.0.0.1:9/p?v=1&key=s3cr3t%2Bkey"])
    )
    access = service.attachment.access
    assert access.query == "v=1&key=s3cr3t%2Bkey"
    for told in ("/p?v=1&key=s3cr3t%2Bkey", "key s3cr3t+key", "cut s3cr3t"):
        assert "s3cr3t" not in without_values(told, access)
    assert without_values("a s3cr3t-only-query", Access(query="s3cr3t-only-query")) == f"a {MARK}"
    assert not holds_value("the weather", Access(query="model=weather"))
    assert holds_value("a s3cr3t-only-query", Access(query="format=json&key=s3cr3t-only-query"))
    words = service.words
    assert "mine=http://127.0.0.1:9/p?QUERY" in words
    asked = running(service, None)
    with pytest.raises(BenchError, match="does not answer /v2/models/model ") as refusal:
        asked.stated_model()
    payload = Payload("a", "seed", "json", "application/json", b"{}", JsonExpectation({}))
    with pytest.raises(BenchError, match="does not answer /p ") as refusal:
        asked.answer(payload, service.url.path)
    assert "s3cr3t" not in str(refusal.value)


def test_words_beginnings_and_json_of_a_value_are_hidden_and_short_values_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENCH_TOKEN", SENT)
    monkeypatch.setenv("BENCH_VERSION", "1")
    word = SENT.split()[1]
    for text, shown in (
        (f"sent {SENT}.", f"sent {MARK}."),
        (f"twice {word}, {word}", f"twice {MARK}, {MARK}"),
        (f"cut {word[:9]}", f"cut {MARK}"),
        (json.dumps({"a": SENT}), f'{{"a": "{MARK}"}}'),
        ("0.1 and 1", "0.1 and 1"),
    ):
        assert without_values(text, ACCESS) == shown
    assert without_values("x" * MOST_ANSWER_BYTES, ACCESS) == "x" * MOST_ANSWER_BYTES
