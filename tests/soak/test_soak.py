"""Mixed hostile load for as long as SOAK_S says: memory stays flat, and every good request is answered.

The time is divided into laps. In each lap peers attack while good clients ask; then the peers rest and the
memory is read. From ten minutes on all services in Python have their turn, else only the fastest to start;
rust_serving always has as long a turn as one of them.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil
import pytest
import requests

from bench.measure.machine.process_memory import memory_of
from tests.contract.encodings import ENCODINGS, Encoding, Reading
from tests.fuzz.seeds import TINY, images
from tests.running.rust import RUST
from tests.soak.attacks import ATTACKS

SOAK_S = float(os.environ.get("SOAK_S", "12"))
LONG = SOAK_S >= 600
SERVICES = ("onnx", "torch", "batched") if LONG else ("onnx",)
LAPS = 30 if LONG else 6
LAP_S = SOAK_S / len(SERVICES) / LAPS
REST_S = min(5.0, LAP_S / 4)
ATTACKERS, CLIENTS = 6, 4
# compose gives a service this much
MEMORY_LIMIT = 4 * 1024**3
# the first third of the laps warms a service up; few laps do not warm all of it up
GROWTH = 0.05 if LONG else 0.15
# within which a good request is answered, however often the client must ask again
PATIENCE_S = 60
SAME_PROBABILITY = 1e-4

pytestmark = pytest.mark.timeout(max(600, SOAK_S * 2))


@dataclass
class Good:
    """A client that asks one request after the other, and again if it is told to ask later."""

    url: str
    stop: threading.Event
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0

    def ask(self, session: requests.Session, encoding: Encoding) -> list[Reading]:
        """Return the readings of a picture's answer, asking again until there is an answer."""
        request = encoding.request([images()[TINY]])
        begin_s = time.monotonic()
        while time.monotonic() - begin_s < PATIENCE_S:
            try:
                answer = session.post(
                    self.url + request.path, request.body, headers=dict(request.headers), timeout=60
                )
            except requests.ConnectionError:  # a kept connection was idle for too long, and gave way
                self.outcomes["connected again"] += 1
                continue
            self.outcomes[str(answer.status_code)] += 1
            if answer.status_code == 200:
                self.slowest_s = max(self.slowest_s, time.monotonic() - begin_s)
                return encoding.readings(answer)
            assert answer.status_code in {429, 503}, (answer.status_code, answer.content)
            time.sleep(min(1.0, float(answer.headers["retry-after"])))
        raise AssertionError(f"no answer within {PATIENCE_S} s: {self.outcomes}")

    def run(self, expected: dict[str, list[Reading]]) -> None:
        """Ask in every encoding in turn until told to stop."""
        with requests.Session() as session:
            while not self.stop.is_set():
                for name, encoding in ENCODINGS.items():
                    assert_same(self.ask(session, encoding), expected[name])


def assert_same(found: list[Reading], expected: list[Reading]) -> None:
    assert [one.label for one in found] == [one.label for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=SAME_PROBABILITY)


@dataclass
class Attackers:
    """Peers that attack one after the other until told to stop."""

    port: int
    stop: threading.Event
    made: Counter[str] = field(default_factory=Counter)

    def run(self, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
        while not self.stop.is_set():
            attack = rng.choice(ATTACKS)
            attack(self.port, rng)
            self.made[attack.__name__] += 1


@dataclass
class Memory:
    """Bytes that a service's processes have in memory: at the end of each lap, and the most at any time."""

    process: psutil.Process
    at_rest: list[int] = field(default_factory=list)
    most: int = 0

    def read(self) -> int:
        children = self.process.children(recursive=True)
        found = memory_of([self.process.pid, *(child.pid for child in children)]).in_use
        self.most = max(self.most, found)
        return found

    def watch(self, stop: threading.Event) -> None:
        while not stop.wait(0.25):
            self.read()

    def growth(self) -> float:
        """By which share the last third of the laps has more than the second."""
        third = len(self.at_rest) // 3
        return median(self.at_rest[-third:]) / median(self.at_rest[third : 2 * third]) - 1


def lap(port: int, made: Counter[str], seed: int) -> None:
    """Attack for a lap, and rest."""
    attackers = Attackers(port, threading.Event(), made)
    with ThreadPoolExecutor(ATTACKERS) as threads:
        running = [threads.submit(attackers.run, seed * ATTACKERS + number) for number in range(ATTACKERS)]
        attackers.stop.wait(LAP_S - REST_S)
        attackers.stop.set()
    for one in running:
        one.result()
    time.sleep(REST_S)


@pytest.mark.parametrize("name", [*SERVICES, RUST])
def test_hostile_load_leaves_memory_flat_and_every_good_request_answered(
    name: str, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]]
) -> None:
    service = launch(name, **environment(name), LOG_LEVEL="error")
    service.wait_until_ready()
    with requests.Session() as session:
        first = Good(service.url, threading.Event())
        expected = {kind: first.ask(session, encoding) for kind, encoding in ENCODINGS.items()}
    stop, made, memory = threading.Event(), Counter[str](), Memory(psutil.Process(service.process.pid))
    clients = [Good(service.url, stop) for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS + 1) as threads:
        running = [threads.submit(client.run, expected) for client in clients]
        running.append(threads.submit(memory.watch, stop))
        try:
            for number in range(LAPS):
                lap(service.port, made, number)
                memory.at_rest.append(memory.read())
        finally:
            stop.set()
        for one in running:
            one.result()
    outcomes = sum((client.outcomes for client in clients), Counter[str]())
    mib = 1024 * 1024
    print(f"{name}: {made.total()} attacks {dict(made)}; good requests {dict(outcomes)}")
    slowest_s = max(client.slowest_s for client in clients)
    print(f"slowest good answer {slowest_s:.1f} s, most memory {memory.most / mib:.0f} MiB")
    print(f"MiB at rest after each lap: {[round(found / mib) for found in memory.at_rest]}")
    assert service.process.poll() is None, "the service has ended"
    assert outcomes["200"] > 0
    assert made.keys() == {attack.__name__ for attack in ATTACKS} or not LONG, made
    assert memory.most < MEMORY_LIMIT
    assert memory.growth() < GROWTH, memory.at_rest
    status, errors = service.end()
    assert (status, errors) == (0, "")
