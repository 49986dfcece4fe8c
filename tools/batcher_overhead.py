"""What the batcher itself costs: microseconds per request with an idle engine, and bytes per waiting request.

python tools/batcher_overhead.py [--requests N] [--rounds R]
"""

import argparse
import asyncio
import statistics
import sys
import tracemalloc
from pathlib import Path
from time import monotonic, process_time

sys.path.insert(0, str(Path(__file__).parents[1]))  # a program's own folder comes first in the path

import uvloop

from batched_serving.batching import Batcher, Policy

WAITERS = (1, 2, 10, 50, 100, 300, 1000)
BATCH = 16
DEADLINE_S = 30.0


async def nothing(items: list[int]) -> list[int]:
    """Return the items at once."""
    return items


async def client(batcher: Batcher[int, int], requests: int) -> None:
    """Send one request after another, each with a deadline, as a service does."""
    for number in range(requests):
        await batcher.submit(number, monotonic() + DEADLINE_S, 150_528)


async def cost_us(waiters: int, requests: int) -> float:
    """Return the processor's microseconds per request with `waiters` clients, their own loop included."""
    async with Batcher(nothing, Policy(max_batch=BATCH, max_items=2048)) as batcher:
        began_s = process_time()
        await asyncio.gather(*(client(batcher, requests // waiters) for _ in range(waiters)))
        return (process_time() - began_s) / (requests // waiters * waiters) * 1e6


async def bytes_a_waiter(waiters: int = 2000) -> float:
    """Return the bytes of memory that one waiting request takes beside its item."""

    async def never(items: list[int]) -> list[int]:
        await asyncio.Event().wait()
        return items

    batcher = Batcher(never, Policy(max_batch=1, max_items=waiters + 1)).start()
    tasks = [asyncio.create_task(batcher.submit(0))]
    await asyncio.sleep(0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tasks += [asyncio.create_task(batcher.submit(0, monotonic() + 1e6, 150_528)) for _ in range(waiters)]
    await asyncio.sleep(0)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    batcher.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    return taken / waiters


def main() -> None:
    """Measure in interleaved rounds and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="requests in each measurement (20000)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements for each number of waiters (5)")
    options = parser.parse_args()
    seen: dict[int, list[float]] = {waiters: [] for waiters in WAITERS}
    for _ in range(options.rounds):
        for waiters, costs in seen.items():
            costs.append(uvloop.run(cost_us(waiters, max(options.requests, waiters))))
    print("waiters  µs/request (median)    least  most")
    for waiters, costs in seen.items():
        print(f"{waiters:7d}  {statistics.median(costs):21.1f}  {min(costs):5.1f}  {max(costs):4.1f}")
    print(f"{asyncio.run(bytes_a_waiter()):.0f} bytes for each waiting request beside its item")


if __name__ == "__main__":
    main()
