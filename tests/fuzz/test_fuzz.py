"""Hostile input by the thousand: it is refused as documented, harms nobody, and leaves no memory behind.

FUZZ_CASES says how many cases go over HTTP in all, nine of ten of them well-formed requests and one no HTTP.
Below 10 000 all go to one service, from there on a third to each of the three in Python; rust_serving gets as
many as one of them. As many inputs again are read without HTTP, guided by the code that they reach.
"""

import math
import os
import re
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
from tests.fuzz.malformed import Written, written
from tests.fuzz.seeds import TINY, images
from tests.fuzz.wire import Channel, Reply, exchange
from tests.running.rust import RUST

ROOT = Path(__file__).parents[2]
CASES = int(os.environ.get("FUZZ_CASES", "2000"))
NIGHTLY = CASES >= 10_000
SERVICES = ("onnx", "torch", "batched") if NIGHTLY else ("onnx",)
GUIDED = CASES
EACH = math.ceil(CASES / len(SERVICES))
MALFORMED = EACH // 10
REQUESTS = EACH - MALFORMED
# the first third warms a service up, until each thread has met the largest images; from then on the first
# thousand cases are compared with the last
WARM_UP = REQUESTS // 3
WINDOW = min(1000, REQUESTS // 6)
# two thousand cases do not warm all of it up
GROWTH = 0.05 if NIGHTLY else 0.08
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
GOOD = Hostile("POST", "/predict/", {"Content-Type": "image/png"}, images()[TINY])
REFUSED = {400, 404, 405, 413, 415, 422}
# of a connection that breaks its own rules
MALFORMED_REFUSED = REFUSED | {408, 411, 414, 417, 431, 501, 505}

# at night, the time that `make fuzz` gives
pytestmark = [] if NIGHTLY else [pytest.mark.timeout(600)]
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
    """A service under fire: `answer` is its to a good image, `memory` its resident bytes after each case."""

    service: Any
    channel: Channel
    answer: bytes
    memory: list[int] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()

    def read_log(self) -> None:
        """Read the log while it is written: a pipe that nobody reads would stop the service."""
        self.log.extend(self.service.process.stderr)

    def check(self) -> None:
        """Fail unless the service still answers a good image as it did; note its memory."""
        assert self.service.process.poll() is None, "the service has ended"
        reply = self.channel.ask(GOOD)
        assert (reply.status, reply.body) == (200, self.answer)
        pages = Path(f"/proc/{self.service.process.pid}/statm").read_text().split()[1]
        self.memory.append(int(pages) * PAGE_BYTES)

    def growth(self) -> float:
        """Return by which share the last cases' mean memory is above that of the first after a warm-up."""
        first, last = fmean(self.memory[WARM_UP : WARM_UP + WINDOW]), fmean(self.memory[-WINDOW:])
        mib = 1024 * 1024
        print(
            f"{self.service.name}: {len(self.memory)} cases, {first / mib:.1f} MiB, then {last / mib:.1f} MiB"
        )
        return last / first - 1


@pytest.fixture(scope="module", params=[*SERVICES, RUST])
def target(
    request: pytest.FixtureRequest,
    launch: Callable[..., Any],
    environment: Callable[[str], dict[str, str]],
) -> Target:
    """One service, ready, in a process of its own."""
    service = launch(request.param, **environment(request.param))
    service.wait_until_ready()
    channel = Channel(service.port)
    return Target(service, channel, channel.ask(GOOD).body)


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
    def write(written: Written) -> None:
        statuses, first = exchange(target.service.port, written)
        assert statuses[: written.answers] == [200] * written.answers, (written, statuses)
        assert {*statuses} <= MALFORMED_REFUSED | {100, 200}, (written, statuses)
        if first is not None and first.status >= 400 and first.body:
            first.check_error()
        target.check()

    write()
    assert len(target.memory) >= EACH
    assert target.growth() < GROWTH


def test_a_service_under_fire_has_no_fault_of_its_own_to_log(target: Target) -> None:
    target.channel.close()
    target.service.stop()
    assert target.service.process.wait(timeout=120) == 0
    target.reader.join(timeout=120)
    assert not target.reader.is_alive()
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
    # libFuzzer may end an input or two past the number
    done = re.search(r"^Done (\d+) runs", made.stderr, re.MULTILINE)
    assert done
    assert int(done[1]) >= GUIDED
    assert crashes == []
