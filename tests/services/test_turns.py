"""Services under clients that would have them for themselves: by many items, early deadlines, late ones."""

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.running.heavy import heavy_png, in_json
from tests.running.load import ask
from tests.services.test_batching import HANDLERS, WEATHER, wire

LARGE, HEAVY = 30, 5.0
CLIENTS = 6


@pytest.fixture
def begin(launch: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Starts a service around a handler of timed_handler."""
    started = []

    def begin_one(name: str, handler: str, **settings: str) -> Any:
        variable = "ONNX_MODEL_URI" if name == "onnx" else "TORCH_MODEL_URI"
        service = launch(name, **{variable: WEATHER}, HANDLER=f"{HANDLERS}:{handler}", **settings)
        started.append(service)
        service.wait_until_ready()
        return service

    yield begin_one
    for service in started:
        service.end()


def posted(path: str, content: object) -> bytes:
    return of_body(json.dumps(content).encode(), path=path)


def of_body(body: bytes, *headers: str, path: str = "/predict/") -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


SEVERAL = posted("/predict/", {"numbers": [HEAVY] * LARGE})
TENSOR = {"name": "number", "datatype": "FP64", "shape": [LARGE], "data": [HEAVY] * LARGE}
OIP = posted("/v2/models/windchill/infer", {"inputs": [TENSOR]})


async def answered(port: int, sent: bytes) -> str:
    """Ask once, on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    status, _ = await ask(reader, writer, sent)
    writer.close()
    return status


async def meanwhile(port: int, large: list[bytes], small: bytes) -> tuple[list[str], Counter[str]]:
    """Send large requests; return their statuses, and those of clients that ask until these are answered."""
    outcomes: Counter[str] = Counter()
    waiting = [asyncio.create_task(answered(port, sent)) for sent in large]
    await asyncio.sleep(0.1)

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not all(task.done() for task in waiting):
            status, _ = await ask(reader, writer, small)
            outcomes[status] += 1
        writer.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return await asyncio.gather(*waiting), outcomes


@pytest.mark.parametrize(
    ("name", "threads", "large"),
    [
        ("torch", "1", [SEVERAL]),
        ("onnx", "2", [SEVERAL, OIP, OIP]),
        ("batched", "1", [OIP]),
        ("batched", "2", [SEVERAL, SEVERAL, OIP]),
    ],
)
def test_who_asks_beside_large_requests_is_answered_between_their_items(
    begin: Callable[..., Any], name: str, threads: str, large: list[bytes]
) -> None:
    service = begin(name, "Heavy", THREADS=threads)
    statuses, outcomes = asyncio.run(meanwhile(service.port, large, wire(1.0)))
    assert statuses == ["200"] * len(large)
    assert outcomes.keys() == {"200"}
    # each asks again and again, and waits for an item or two of each large request
    assert outcomes["200"] >= CLIENTS * LARGE / 3, outcomes


@pytest.mark.rust
@pytest.mark.parametrize("threads", ["1", "2"])
def test_who_asks_rust_serving_beside_large_requests_is_answered_between_their_items(
    launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], threads: str
) -> None:
    service = launch("rust", **environment("rust"), THREADS=threads)
    service.wait_until_ready()
    large = of_body(in_json(*[heavy_png(5000)] * LARGE))
    small = of_body(in_json(heavy_png(8)))
    statuses, outcomes = asyncio.run(meanwhile(service.port, [large], small))
    service.end()
    assert statuses == ["200"]
    assert outcomes.keys() == {"200"}
    assert outcomes["200"] >= CLIENTS * LARGE / 3, outcomes


async def medians(
    port: int, stating: dict[int | None, int], seconds: float, body: bytes
) -> tuple[dict[int | None, float], float]:
    """Let clients ask in closed loops, so many of them with each time allowed.

    Return the median wait of each kind, and the wait in order of arrival, which Little's law tells.
    """
    waits: dict[int | None, list[float]] = {allowed: [] for allowed in stating}
    end_s = time.monotonic() + seconds

    async def client(allowed_ms: int | None) -> None:
        headers = () if allowed_ms is None else (f"X-Request-Timeout-Ms: {allowed_ms}",)
        sent = of_body(body, *headers)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < end_s:
            began_s = time.monotonic()
            status, goes_on = await ask(reader, writer, sent)
            if status == "200":
                waits[allowed_ms].append(time.monotonic() - began_s)
            else:
                await asyncio.sleep(0.05)
            if not goes_on:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    await asyncio.gather(*(client(allowed) for allowed, count in stating.items() for _ in range(count)))
    in_order_s = sum(stating.values()) * seconds / sum(map(len, waits.values()))
    return {allowed: statistics.median(waits[allowed] or [60.0]) for allowed in stating}, in_order_s


@pytest.mark.parametrize("header_ms", [1500, 3_600_000])
def test_a_header_buys_nobody_the_queue(begin: Callable[..., Any], header_ms: int) -> None:
    """Sixty clients state a deadline and five state none, then the other way round."""
    service = begin("batched", "Timed", THREADS="1", MAX_BATCH="4")
    nobody_waits_longer(service, header_ms, b'{"number": 1.0}')


@pytest.mark.rust
@pytest.mark.parametrize("header_ms", [1500, 3_600_000])
def test_a_header_buys_nobody_the_queue_of_rust_serving(
    launch: Callable[..., Any], environment: Callable[[str], dict[str, str]], header_ms: int
) -> None:
    service = launch("rust", **environment("rust"), THREADS="1")
    service.wait_until_ready()
    # a wait of a second, as above: a header that allows 1500 ms refuses few
    nobody_waits_longer(service, header_ms, in_json(heavy_png(1000)))
    service.end()


def nobody_waits_longer(service: Any, header_ms: int, body: bytes) -> None:
    for stating in ({header_ms: 60, None: 5}, {header_ms: 5, None: 60}):
        waits, in_order_s = asyncio.run(medians(service.port, stating, 4.0, body))
        assert max(waits.values()) < 2.5 * in_order_s, waits
