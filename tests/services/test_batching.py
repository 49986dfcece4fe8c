"""batched_serving as a process, amid faults and overload: who can be answered is, and everybody is told."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.running.load import ask
from tests.services.timed_handler import BASE_S, EACH_S, KILL

ROOT = Path(__file__).parents[2]
WEATHER = (ROOT / "examples" / "windchill" / "model" / "coefficients.json").as_uri()
HANDLERS = "tests.services.timed_handler"
CLIENTS, MAX_BATCH = 50, 16
# what Timed can do
CAPACITY_PER_S = MAX_BATCH / (BASE_S + EACH_S * MAX_BATCH)


def wire(number: float, timeout_ms: int = 20_000) -> bytes:
    body = json.dumps({"number": number}).encode()
    head = f"POST /predict/ HTTP/1.1\r\nHost: x\r\nX-Request-Timeout-Ms: {timeout_ms}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture
def timed(launch: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Starts a service around a handler of timed_handler."""
    started = []

    def begin(handler: str = "Timed", **settings: str) -> Any:
        given = {"THREADS": "1", "MAX_BATCH": str(MAX_BATCH), **settings}
        service = launch("batched", TORCH_MODEL_URI=WEATHER, HANDLER=f"{HANDLERS}:{handler}", **given)
        service.wait_until_ready()
        started.append(service)
        return service

    yield begin
    for service in started:
        if service.process.poll() is None:
            service.end()


async def one(port: int, sent: bytes, together: asyncio.Barrier | None = None) -> str:
    """Ask once; where clients send `together`, each only when all of them are connected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if together is not None:
        await together.wait()
    status, _ = await ask(reader, writer, sent)
    writer.close()
    return status


async def closed_loop(port: int, clients: int, each: int) -> None:
    """Let so many clients ask one time after the other, and check that all are answered."""

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(each):
            status, _ = await ask(reader, writer, wire(1.0))
            assert status == "200"
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))


async def open_loop(port: int, per_s: float, seconds: float, timeout_ms: int) -> Counter[str]:
    """Ask at a steady rate whatever the answers are, on connections that are kept; return what came of it."""
    outcomes: Counter[str] = Counter()
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def request() -> None:
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        status, goes_on = await ask(reader, writer, wire(1.0, timeout_ms))
        outcomes[status] += 1
        if goes_on:
            idle.append((reader, writer))
        else:
            writer.close()

    begin_s, tasks = time.monotonic(), []
    for number in range(int(per_s * seconds)):
        await asyncio.sleep(max(0.0, begin_s + number / per_s - time.monotonic()))
        tasks.append(asyncio.create_task(request()))
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    for _, writer in idle:
        writer.close()
    return outcomes


def metric(service: Any, name: str) -> float:
    lines = service.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


class Batches:
    """How many items a service put into a batch, by its own count: no other process can change that."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self._items, self._batches = self._counts()

    def _counts(self) -> tuple[float, float]:
        return metric(self._service, "batch_size_sum"), metric(self._service, "batch_size_count")

    def mean(self) -> float:
        """Return the mean since the last call."""
        items, batches = self._counts()
        since = (items - self._items) / (batches - self._batches)
        self._items, self._batches = items, batches
        return since


# on a busy machine the service computes less, and so gets more than ten times as much as it can compute:
# tests/batched_serving/test_batcher.py refuses and expires by a clock of its own
@pytest.mark.alone
def test_overload_is_refused_and_afterwards_all_is_as_before(timed: Callable[..., Any]) -> None:
    """Ten times what can be computed, for 10 s; then all are answered, in batches as full as before."""
    service, seconds = timed(), 10
    batches = Batches(service)
    asyncio.run(closed_loop(service.port, CLIENTS, 12))
    before = batches.mean()
    outcomes = asyncio.run(open_loop(service.port, 10 * CAPACITY_PER_S, seconds, 1000))
    assert outcomes.keys() <= {"200", "429", "504"}, outcomes
    assert sum(outcomes.values()) == int(10 * CAPACITY_PER_S * seconds)
    assert outcomes["429"] > outcomes["200"]
    # most of what is let in is in time, in batches that are full
    assert outcomes["504"] < 0.5 * outcomes["200"], outcomes
    assert batches.mean() > 0.7 * MAX_BATCH
    asyncio.run(closed_loop(service.port, CLIENTS, 12))
    assert batches.mean() > 0.9 * before
    assert metric(service, "queue_depth ") == 0


def test_ten_thousand_clients_that_leave_cost_nobody_else_anything(timed: Callable[..., Any]) -> None:
    """They send their request whole and go; eight others go on asking all the while."""
    service = timed("Quick", QUEUE_LIMIT="512")
    outcomes: Counter[str] = Counter()

    async def leave() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(wire(5.0))
        await writer.drain()
        writer.transport.abort()

    async def stay(done: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        while not done.is_set():
            status, _ = await ask(reader, writer, wire(2.0))
            outcomes[status] += 1
        writer.close()

    async def scenario() -> None:
        done = asyncio.Event()
        staying = [asyncio.create_task(stay(done)) for _ in range(8)]
        for _ in range(200):
            await asyncio.gather(*(leave() for _ in range(50)))
        done.set()
        await asyncio.gather(*staying)

    asyncio.run(scenario())
    assert outcomes["200"] > 500
    assert outcomes.keys() <= {"200", "429"}, outcomes
    give_up = time.monotonic() + 100
    while metric(service, "queue_depth ") or metric(service, "in_flight "):
        assert time.monotonic() < give_up
    assert metric(service, 'dropped_total{reason="disconnected"}') > 5000
    assert service.get("/ping").status_code == 200


def test_a_stop_with_a_full_queue_answers_all_that_was_accepted(timed: Callable[..., Any]) -> None:
    service = timed(QUEUE_LIMIT="40")

    async def scenario() -> list[str]:
        together = asyncio.Barrier(60)
        asked = [asyncio.create_task(one(service.port, wire(1.0), together)) for _ in range(60)]
        while sum(task.done() and task.result() == "429" for task in asked) < 4:  # it is full
            await asyncio.sleep(0.005)
        service.stop()
        return await asyncio.gather(*asked)

    outcomes = Counter(asyncio.run(scenario()))
    status, _ = service.end()
    assert status == 0
    assert outcomes["200"] >= 40
    # those who had not sent all when it was told to stop
    assert outcomes["200"] + outcomes["429"] + outcomes["503"] == 60


def test_a_deadline_shorter_than_a_batch_is_kept_and_is_nobody_elses(timed: Callable[..., Any]) -> None:
    service = timed()

    async def scenario() -> tuple[list[str], list[str]]:
        alone = [await one(service.port, wire(1.0, timeout_ms=20)) for _ in range(3)]
        patient = [asyncio.create_task(one(service.port, wire(1.0))) for _ in range(20)]
        hasty = [asyncio.create_task(one(service.port, wire(1.0, timeout_ms=20))) for _ in range(20)]
        return [*alone, *await asyncio.gather(*hasty)], list(await asyncio.gather(*patient))

    hasty, patient = asyncio.run(scenario())
    assert set(hasty) <= {"504", "429"}
    assert set(patient) == {"200"}


def test_when_what_computes_is_killed_all_are_told_and_the_process_ends(timed: Callable[..., Any]) -> None:
    service = timed()

    async def scenario() -> list[str]:
        together = asyncio.Barrier(42)
        numbers = (1.0, KILL, *range(40))
        asked = [asyncio.create_task(one(service.port, wire(number), together)) for number in numbers]
        return await asyncio.gather(*asked)

    outcomes = Counter(asyncio.run(scenario()))
    assert outcomes["500"] > 0
    assert outcomes.keys() <= {"200", "500", "503"}, outcomes
    service.process.wait(timeout=120)  # by itself
    status, errors = service.end()
    assert status == 1
    assert "died or hangs" in errors


def test_a_corrupt_image_among_fifteen_good_ones_fails_alone(running: dict[str, Any], jpeg: bytes) -> None:
    service = running["batched"]
    bodies = [jpeg] * 15 + [jpeg[: len(jpeg) // 2]]
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(service.post, bodies))
    assert [answer.status_code for answer in answers] == [200] * 15 + [422]
    assert len({answer.json()["prediction"] for answer in answers[:15]}) == 1
