"""An answer that never ends costs its own request: bounded in bytes and in time, wherever it is read."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.load.drive_plan import MOST_ANSWER_BYTES
from bench.load.launch import Drive, Target
from bench.load.samples import Samples
from bench.load.window import summarise
from bench.measure import http_client
from bench.measure.machine import server_metrics
from bench.measure.machine.server_metrics import figures_between, read_metrics, scrape, startup_phases
from bench.measure.runtime import bounded_talk
from bench.measure.runtime.instance import StrategyStartError
from bench.model import OUTCOMES, ClosedLoad, OpenLoad, Payload
from bench.model.expectations import LabelExpectation
from tests.running.endless import FLOODS, KINDS, endless
from tests.running.exit_codes import code_of

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
PAYLOAD = Payload(
    "a.jpg", "seed", "json", "application/json", b'{"image": ""}', LabelExpectation("rain", {"rain": 1.0})
)
# a bound that says "not stuck" on a machine that is busy
SOON_S = 120.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_harness_s_own_requests_end(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in (
        (http_client, "PROBE_TIMEOUT_S"),
        (http_client, "ANSWER_TIMEOUT_S"),
        (server_metrics, "TIMEOUT_S"),
    ):
        monkeypatch.setattr(place, name, 0.5)
    begun = time.monotonic()
    with endless(kind) as port:
        assert http_client.get_status("127.0.0.1", port, "/ready") in (0, 200, 302)
        told = http_client.check("127.0.0.1", port, "/predict/", PAYLOAD)
        assert told.complaint is not None
        assert told.complaint.isprintable()
        assert scrape("127.0.0.1", port) is None
        assert startup_phases("127.0.0.1", port) == {}
    assert time.monotonic() - begun < SOON_S


@pytest.mark.parametrize("kind", KINDS)
def test_the_driver_ends_and_no_such_answer_is_right(kind: str, tmp_path: Path) -> None:
    load = ClosedLoad(4, warmup_s=0.1, window_s=0.4, drain_s=0.5, timeout_s=0.5)
    with endless(kind) as port:
        running = Drive(Target("127.0.0.1", port, "/predict/"), (PAYLOAD,), load, 1, tmp_path)
        try:
            samples = running.finish().samples
        finally:
            running.close()
    found = Counter(OUTCOMES[code] for code in samples.outcome)
    assert found
    assert "ok" not in found
    assert samples.bytes.max() <= MOST_ANSWER_BYTES
    if kind in FLOODS and not kind.startswith(("odd", "redirect")):
        assert found["http_error"] or found["connection_error"], found
    if kind in ("body", "chunks", "promised"):
        assert "answers had more than 4194304 bytes" in reasons(samples)


def reasons(samples: Samples) -> str:
    found = summarise(samples, 4, 0.1, 0.4)
    assert not found.valid
    return "; ".join(one.text for one in found.doubts)


def test_an_open_load_ends_too(tmp_path: Path) -> None:
    load = OpenLoad(20.0, warmup_s=0.1, window_s=0.4, drain_s=0.5, timeout_s=0.5)
    with endless("chunks") as port:
        running = Drive(Target("127.0.0.1", port, "/predict/"), (PAYLOAD,), load, 1, tmp_path)
        try:
            samples = running.finish().samples
        finally:
            running.close()
    assert "ok" not in {OUTCOMES[code] for code in samples.outcome}


@pytest.mark.parametrize(
    "text",
    [
        'batch_size_bucket{x="1"} 1\nbatch_size_sum 1\n',
        'batch_size_bucket{le="many"} 1\nbatch_size_sum 1\n',
        'batch_size_bucket{le="1"} +Inf\nbatch_size_sum +Inf\n',
        'batch_size_bucket{le="1"} NaN\nbatch_size_sum NaN\n',
        'stage_duration_seconds_sum{stage="a"} +Inf\nstage_duration_seconds_count{stage="a"} 1\n',
        'stage_duration_seconds_sum{stage="a"} 1e300\nstage_duration_seconds_count{stage="a"} 1e300\n',
        'stage_duration_seconds_sum{stage="a"} -5\nstage_duration_seconds_count{stage="a"} -1\n',
        'stage_duration_seconds_sum{stage="a\\nb"} 1\nstage_duration_seconds_count{stage="a\\nb"} 1\n',
        "".join(f'stage_duration_seconds_count{{stage="s{n}"}} 1\n' for n in range(500)),
        "x{",
        "{" * 10_000,
    ],
)
def test_metrics_that_are_no_numbers_give_no_figures_and_no_fault(text: str) -> None:
    try:
        after = read_metrics(text)
    except server_metrics.UNREADABLE:
        return
    found = figures_between(read_metrics(""), after)
    json.dumps(str(found), allow_nan=False)
    assert found is None or all(name.isprintable() for name in found.stages)


# stub_strategy's answers begin to go on for ever after so many; its metrics do so from the first on
ENDLESS = """
import os
import stub_strategy

class Handler(stub_strategy.Handler):
    def do_GET(self):
        if self.path == "/metrics":
            self.for_ever()
        super().do_GET()

    def do_POST(self):
        if stub_strategy.served >= 60:
            self.for_ever()
        super().do_POST()

    def for_ever(self):
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
        while True:
            self.wfile.write(b"x" * 65536)

stub_strategy.Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.mark.slow
def test_a_run_goes_on_without_the_trial_of_such_a_service(bench: Bench, project: Path) -> None:
    (project / "endless.py").write_text(ENDLESS)
    head, slow = (project / "compose.yaml").read_text().split("  slow-service:")
    slow = slow.replace('["python", "stub_strategy.py"]', '["python", "endless.py"]', 1)
    (project / "compose.yaml").write_text(f"{head}  slow-service:{slow}")
    options = ("--runtime", "process", "--quick", "--payloads", "small", "--concurrency", "4")
    options += ("--warmup-s", "0.3", "--warmup-most-s", "0.6", "--window-s", "1", "--timeout-s", "2")
    done = bench("run", "--root", project, *options, "--startups", "0", "--loop-seconds", "0")
    (folder,) = (project / "results").iterdir()
    found = json.loads((folder / "run.json").read_text())
    assert done.returncode == code_of(found) == 4, done.stderr
    trials = {trial["strategy"]: trial for trial in found["trials"]}
    assert trials["fast"]["ok"] > 0
    assert not trials["slow"]["valid"]
    told = " ".join(one["text"] for one in trials["slow"]["doubts"])
    assert "answers had more than 4194304 bytes" in told, told
    assert trials["slow"]["server"] is None
    assert "Traceback" not in done.stderr


def started(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("while True: print('x' * 65536)", "wrote more than"),
        ("import time; time.sleep(60)", "did not end within 1 s"),
        ("import time, sys; sys.stdout.close(); time.sleep(60)", "did not end within 1 s"),
    ],
)
def test_a_bare_loop_that_never_ends_is_ended(code: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_talk, "MOST_OUTPUT", 1_000_000)
    timeout_s = 1.0 if "within" in says else SOON_S
    with started(code) as process:
        try:
            with pytest.raises(StrategyStartError, match=f"^stub: its loop {says}"):
                bounded_talk.talk(process, b"x" * 1_000_000, timeout_s, "stub")
        finally:
            process.kill()


def test_a_bare_loop_that_ends_is_read_whole() -> None:
    code = "import sys; found = sys.stdin.buffer.read(); print(len(found)); print('y' * 300000)"
    with started(code) as process:
        output, _ = bounded_talk.talk(process, b"x" * 1_000_000, 60.0, "stub")
    assert output.split() == [b"1000000", b"y" * 300_000]
