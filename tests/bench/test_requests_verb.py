"""`bench requests` with services that run: sets are drawn for what they state, and their answers recorded."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli import main
from bench.measure.http_client import port_answers, wait_until
from bench.model.expectations import TensorsExpectation
from bench.request_sets.manifest import MANIFEST
from bench.request_sets.reader import read_request_set
from bench.request_sets.rewriting import read_manifest
from tests.running.ports import free_port
from tests.running.processes import ROOT

pytestmark = pytest.mark.slow

STUB = Path(__file__).parent / "encoder_strategy.py"
STANZA = """
  {name}:
    image: none
    command: ["python", {command}]
    environment: {environment}
    ports: ["127.0.0.1:{port}:8080"]
    labels: {{bench.strategy: {name}, bench.port: "8080", bench.model: {model}, bench.payloads: "{payloads}"}}
"""
HANDLERS = {
    "mood": ("examples.mood.handler:Mood", "examples/mood/model/words.json"),
    "windchill": ("examples.windchill.handler:WindChill", "examples/windchill/model/coefficients.json"),
}


def stub(name: str, **settings: str) -> str:
    environment = {"PORT": "8080", **{f"STUB_{key.upper()}": value for key, value in settings.items()}}
    return STANZA.format(
        name=name,
        command='"encoder_strategy.py"',
        environment=json.dumps(environment),
        port=free_port(),
        model="encoder",
        payloads="json,oip-json",
    )


def service(name: str) -> str:
    """One of the examples' models by onnx_serving."""
    handler, model = HANDLERS[name]
    environment = {
        "PORT": "8080",
        "HANDLER": handler,
        "ONNX_MODEL_URI": f"file://{ROOT / model}",
        "PYTHONPATH": str(ROOT),
    }
    return STANZA.format(
        name=name,
        command='"-m", "onnx_serving"',
        environment=json.dumps(environment),
        port=free_port(),
        model=name,
        payloads="json,msgpack,oip-json,oip-binary",
    )


class Project:
    """A folder with compose.yaml and a place for a set, and the verb in it."""

    def __init__(self, root: Path, *stanzas: str) -> None:
        self.root, self.set = root, root / "set"
        shutil.copy(STUB, root)
        (root / "compose.yaml").write_text("name: requests\nservices:" + "".join(stanzas))

    def make(self, strategy: str, *words: str) -> int:
        return self.call("make", "--strategy", strategy, "--out", str(self.set), *words)

    def record(self, strategy: str, *words: str) -> int:
        return self.call("record", "--strategy", strategy, "--requests", str(self.set), *words)

    def call(self, *words: str) -> int:
        where = ("--root", str(self.root), "--runtime", "process", "--quiet")
        return main(["requests", *words, *where])

    def expected(self) -> list[Any]:
        return [one.expect for one in read_request_set(self.set).requests]


def values(expect: Any) -> list[Any]:
    assert isinstance(expect, TensorsExpectation)
    return [element for tensor in expect.tensors for element in tensor.data]


def test_a_set_is_drawn_and_recorded_for_a_model_with_a_varying_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By any encoding the same is recorded, and the vocabulary's size is found."""
    project = Project(tmp_path, stub("small", vocabulary="50"))
    assert project.make("small", "--count", "6", "--sizes", "tokens=3,40", "--range", "scale=1:2") == 0
    told = capsys.readouterr().out
    assert told == (
        f"{project.set}: 6 requests (3 small, 3 large); what must come back is not recorded yet: "
        "`python -m bench requests record` does that\n"
    )
    tokens = [np.asarray(one.body[0].data) for one in read_request_set(project.set).requests]  # type: ignore[index,union-attr]  # tensors
    assert [one.shape for one in tokens] == [(1, 3), (1, 40)] * 3
    assert 30 < max(int(one.max()) for one in tokens) < 50
    recorded = []
    for encoding in ("json", "oip-json"):
        assert project.record("small", "--encoding", encoding) == 0
        recorded.append(project.expected())
        assert "is recorded (6 tensors), as small answers\n" in capsys.readouterr().out
    one, other = recorded
    assert one == other
    assert [values(each)[1] for each in one] == pytest.approx([3 / 7, 40 / 7] * 3)


def test_what_is_found_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project(tmp_path, stub("small", vocabulary="50"))
    words = ("make", "--strategy", "small", "--out", str(project.set), "--count", "2")
    assert main(["requests", *words, "--root", str(tmp_path), "--runtime", "process"]) == 0
    assert "bench: tokens is drawn from 0 to 49, as found by asking: see --range\n" in capsys.readouterr().err


def test_drawn_requests_that_the_service_refuses_are_one_line_and_no_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Project(tmp_path, stub("small", vocabulary="50"))
    assert project.make("small", "--count", "4", "--range", "tokens=60:70") == 2
    assert capsys.readouterr().err == (
        'bench: small refuses 4 of 4 drawn requests, small-0000 with 500 ({"error": "index out of range"}): '
        "draw what it takes with --range and --sizes\n"
    )
    assert not project.set.exists()


def test_answers_that_hang_on_what_was_asked_before_are_refused_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second copy is asked in another order; the tolerance that is told accepts."""
    project = Project(tmp_path, stub("even"), stub("uneven", jitter="0.125"))
    assert project.make("even", "--count", "5", "--range", "scale=0:1", "--range", "tokens=0:2") == 0
    assert project.record("even") == 0
    before = (project.set / MANIFEST).read_bytes()
    capsys.readouterr()
    assert project.record("uneven") == 4
    told = capsys.readouterr().err
    assert told.startswith("bench: the two answers to small-0000 differ, embedding[0] is ")
    assert told.count("\n") == 1
    assert (project.set / MANIFEST).read_bytes() == before
    assert {one.name for one in project.set.iterdir()} == {MANIFEST}
    accept = told.partition(": accept it with ")[2].split()
    assert accept[::2] == ["--rtol", "--atol"]
    assert project.record("uneven", *accept) == 0
    assert "two answers to a request differ by " in capsys.readouterr().out


def test_an_answer_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project(tmp_path, stub("even"), stub("refusing", refuse_at="3"))
    assert project.make("even", "--count", "4") == 0
    before = (project.set / MANIFEST).read_bytes()
    capsys.readouterr()
    assert project.record("refusing") == 4
    assert capsys.readouterr().err == (
        'bench: refusing answers small-0002 with status 422 ({"error": "these tokens are not for me"}), 1 of '
        "4 requests are refused: repair them, or record another strategy\n"
    )
    assert (project.set / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("make", "--strategy", "other"), "unknown strategy other: compose.yaml registers silent"),
        (
            ("make", "--strategy", "silent"),
            "silent states no model at /v2/models/encoder (status 404): ",
        ),
        (("record", "--strategy", "silent"), "has no manifest.json: "),
        (("make", "--url", "http://127.0.0.1:9/v2/models/m"), "does not answer /v2/models/m (["),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    project = Project(tmp_path, stub("silent", states="0"))
    place = ("--requests", str(project.set)) if words[0] == "record" else ("--out", str(project.set))
    code = project.call(*words, *place)
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1
    assert code == (1 if "--url" in words else 2)


def test_no_answers_of_another_set_are_replaced_unnamed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run without requests/ sends images/, whose answers are those of a reference."""
    project = Project(tmp_path, stub("even"))
    assert project.make("even") == 0
    project.set.rename(tmp_path / "images")
    capsys.readouterr()
    assert project.call("record", "--strategy", "even") == 2
    assert capsys.readouterr().err == (
        f"bench: there is no {tmp_path / 'requests'}: make a request set, or name one with --requests\n"
    )


def test_without_a_statement_of_outputs_the_answers_are_json(tmp_path: Path) -> None:
    project = Project(tmp_path, stub("even"), stub("silent", states="0"))
    assert project.make("even", "--count", "2") == 0
    assert project.record("silent") == 0
    assert {type(one).__name__ for one in project.expected()} == {"JsonExpectation"}


def test_a_service_that_runs_is_asked_twice(
    running_stub: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same service, so that answers which hang on what was asked before differ."""
    port, project = running_stub(), Project(tmp_path, stub("even"))
    assert project.make("even", "--count", "3") == 0
    assert project.record("even") == 0
    strategy_s = project.expected()
    url = f"http://127.0.0.1:{port}/v2/models/encoder/infer"
    words = ("record", "--requests", str(project.set), "--encoding", "oip-json", "--url")
    assert project.call(*words, url) == 0
    assert project.expected() == strategy_s
    capsys.readouterr()
    uneven = f"http://127.0.0.1:{running_stub(jitter='5')}/v2/models/encoder/infer"
    assert project.call(*words, uneven) == 4
    assert "the two answers to small-0000 differ" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("make", "--url", "http://127.0.0.1:9/predict"), "write http://HOST:PORT/v2/models/MODEL"),
        (
            ("make", "--strategy", "a", "--header-env", "X=HOME"),
            "are for a service that runs already: give --url",
        ),
        (("make", "--url", "http://127.0.0.1:9/v2/models/m", "--ca", "x"), "--ca is for services of https"),
        (
            ("make", "--url", "http://127.0.0.1:9/v2/models/m", "--header-env", "X=NO_SUCH"),
            "names for X is not in",
        ),
    ],
)
def test_what_is_said_of_a_running_service_must_fit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    assert main(["requests", *words, "--out", str(tmp_path / "set")]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--encoding", "raw"), "even takes json, oip-json, not raw: choose another --encoding"),
        (("--compare", "label"), "has nothing that label compares: choose another --compare"),
    ],
)
def test_what_cannot_be_recorded_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    project = Project(tmp_path, stub("even"))
    assert project.make("even", "--count", "1") == 0
    assert project.record("even", *words) == 2
    assert says in capsys.readouterr().err


@pytest.fixture
def running_stub() -> Iterator[Callable[..., int]]:
    """Start the stub by itself; gives its port."""
    running: list[subprocess.Popen[bytes]] = []

    def start(**settings: str) -> int:
        port = free_port()
        settings = {f"STUB_{key.upper()}": value for key, value in settings.items()}
        environment = {**os.environ, "PORT": str(port), **settings}
        running.append(subprocess.Popen([sys.executable, STUB], env=environment))
        assert wait_until(lambda: port_answers("127.0.0.1", port), 20, lambda: True)
        return port

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_a_set_is_drawn_for_a_service_that_runs(running_stub: Callable[..., int], tmp_path: Path) -> None:
    """The same as for the strategy, of the same seed."""
    port, out = running_stub(vocabulary="50"), tmp_path / "set"
    url = f"http://127.0.0.1:{port}/v2/models/encoder"
    assert main(["requests", "make", "--url", url, "--out", str(out), "--seed", "3", "--quiet"]) == 0
    other = Project(tmp_path, stub("small", vocabulary="50"))
    other.set = tmp_path / "other"
    assert other.make("small", "--seed", "3") == 0
    assert (out / MANIFEST).read_bytes() == (other.set / MANIFEST).read_bytes()
    assert len(read_request_set(out).requests) == 64


def test_a_version_behind_a_key_is_drawn_for_and_recorded(
    running_stub: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "/v2/models/encoder/versions/3"
    port, out = running_stub(model_path=path, query="key=s3cr3t-key"), tmp_path / "set"
    at = f"http://127.0.0.1:{port}{path}"
    words = ("requests", "make", "--out", str(out), "--count", "2", "--sizes", "tokens=8", "--quiet", "--url")
    assert main([*words, f"{at}?key=s3cr3t-key"]) == 0
    record = ("requests", "record", "--requests", str(out), "--encoding", "oip-json", "--url")
    assert main([*record, f"{at}/infer?key=s3cr3t-key"]) == 0
    assert all(isinstance(one.expect, TensorsExpectation) for one in read_request_set(out).requests)
    capsys.readouterr()
    assert main([*record, f"{at}/infer?key=s3cr3t-other"]) == 4
    told = capsys.readouterr().err
    assert f"there is no {path}/infer?key=<hidden>" in told
    assert "s3cr3t" not in told + (out / MANIFEST).read_text()


def test_a_model_of_numbers_is_recorded_alike_in_text_and_in_binary(tmp_path: Path) -> None:
    project, felt = Project(tmp_path, service("windchill")), []
    assert project.make("windchill", "--count", "4", "--range", "weather=-50:10,5:100") == 0
    for encoding in ("json", "oip-binary"):
        assert project.record("windchill", "--encoding", encoding) == 0
        felt.append(project.expected())
    assert felt[0] == felt[1]
    for one in felt[0]:
        assert isinstance(one, TensorsExpectation)
        assert [(each.name, each.datatype, each.shape) for each in one.tensors] == [("felt", "FP32", (1,))]
        assert -80 < values(one)[0] < 15


def test_a_model_of_text_is_drawn_and_recorded(tmp_path: Path) -> None:
    project = Project(tmp_path, service("mood"))
    assert project.make("mood", "--count", "6", "--sizes", "text=2,30") == 0
    assert project.record("mood") == 0
    assert {values(one)[1] for one in project.expected()} <= {"glad", "sad", "neither"}
    assert read_manifest(project.set).title == "drawn with seed 1 for the model mood"
