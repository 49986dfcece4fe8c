"""Hostile input by the thousand: it is refused as documented, harms nobody, and leaves no memory behind.

FUZZ_CASES says how many cases in all; from 10 000 on, all three services take part.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from tests.fuzz.bytes_of import Hostile, hostile
from tests.fuzz.malformed import written
from tests.fuzz.seeds import TINY, images
from tests.fuzz.wire import Channel, Reply, exchange

ROOT = Path(__file__).parents[2]
CASES = int(os.environ.get("FUZZ_CASES", "2000"))
NIGHTLY = CASES >= 10_000
SERVICES = ("onnx", "torch", "batched") if NIGHTLY else ("onnx",)
GUIDED = CASES * 4 // 10
MALFORMED = CASES // 10 // len(SERVICES)
REQUESTS = (CASES - GUIDED) // len(SERVICES) - MALFORMED
GROWTH = 0.05
LONGEST_WINDOW = 1000
GOOD = Hostile("POST", "/predict/", {"Content-Type": "image/png"}, images()[TINY])
REFUSED = {400, 404, 405, 413, 415, 422}
# of a connection that breaks its own rules
MALFORMED_REFUSED = REFUSED | {408, 411, 414, 417, 431, 501, 505}

pytestmark = pytest.mark.timeout(600 if not NIGHTLY else 7200)
many = settings(
    deadline=None,
    database=None,
    derandomize=not NIGHTLY,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
)


@dataclass
class Target:
    """A service under fire: `answer` is what it says to a good image, `memory` its resident pages."""

    service: Any
    channel: Channel
    answer: bytes
    memory: list[int] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def read_log(self) -> None:
        """Read the log while it is written: a pipe that nobody reads would stop the service."""
        self.log.extend(self.service.process.stderr)

    def check(self) -> None:
        """Fail unless the service still answers a good image as it did; note its memory."""
        assert self.service.process.poll() is None, "the service has ended"
        reply = self.channel.ask(GOOD)
        assert (reply.status, reply.body) == (200, self.answer)
        pages = Path(f"/proc/{self.service.process.pid}/statm").read_text().split()[1]
        self.memory.append(int(pages))

    def growth(self) -> float:
        """Return by which share the last cases' mean memory is above that of the first after a warm-up."""
        window = min(LONGEST_WINDOW, len(self.memory) // 4)
        first, last = self.memory[window : 2 * window], self.memory[-window:]
        return fmean(last) / fmean(first) - 1


@pytest.fixture(scope="module", params=SERVICES)
def target(
    request: pytest.FixtureRequest,
    launch: Callable[..., Any],
    environment: Callable[[str], dict[str, str]],
) -> Target:
    """One service, ready, in a process of its own."""
    service = launch(request.param, **environment(request.param))
    service.wait_until_ready()
    channel = Channel(service.port)
    made = Target(service, channel, channel.ask(GOOD).body)
    threading.Thread(target=made.read_log, daemon=True).start()
    return made


def check_reply(request: Hostile, reply: Reply) -> None:
    if reply.status == 200:
        return
    asked_for = {504} if "X-Request-Timeout-Ms" in request.headers else set()
    assert reply.status in REFUSED | asked_for, (request, reply)
    if request.method != "HEAD":
        reply.check_error()


def test_a_hostile_request_is_answered_as_documented_and_harms_nobody(target: Target) -> None:
    channel = Channel(target.service.port)

    @settings(many, max_examples=REQUESTS)
    @given(hostile())
    def ask(request: Hostile) -> None:
        check_reply(request, channel.ask(request))
        target.check()

    ask()
    channel.close()
    assert len(target.memory) >= REQUESTS
    assert target.growth() < GROWTH, target.memory[:: max(1, len(target.memory) // 40)]


def test_what_is_no_http_is_refused_or_hung_up_on_and_harms_nobody(target: Target) -> None:
    @settings(many, max_examples=MALFORMED)
    @given(written())
    def write(pieces: list[bytes]) -> None:
        statuses, first = exchange(target.service.port, pieces)
        assert {*statuses} <= MALFORMED_REFUSED | {100, 200}, (pieces, statuses)
        if first is not None and first.status >= 400 and first.body:
            first.check_error()
        target.check()

    write()
    assert target.growth() < GROWTH


def test_a_service_under_fire_has_no_fault_of_its_own_to_log(target: Target) -> None:
    target.channel.close()
    target.service.stop()
    assert target.service.process.wait(timeout=30) == 0
    lines = [orjson.loads(line) for line in target.log]
    faults = [line for line in lines if "trace" in line or line["level"] not in {"info", "warning"}]
    assert faults == []
    assert [line["message"] for line in lines if line["level"] == "info"] == ["ready", "stopped"]


def test_nothing_that_reads_a_request_raises_anything_but_a_refusal(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    options = [f"-runs={GUIDED}", "-seed=1", "-max_len=24000", "-timeout=20", "-rss_limit_mb=2048"]
    made = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.coverage_guided", str(corpus), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    crashes = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert made.returncode == 0, (crashes, made.stdout[-2000:], made.stderr[-3000:])
    assert f"Done {GUIDED} runs" in made.stderr
    assert crashes == []
