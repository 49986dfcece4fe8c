"""Threads or processes for preparing images: images/s with 1 thread, and with a thread or process per core.

python tools/compare_preparation.py [--seconds S] [--rounds R]
"""

import argparse
import statistics
import sys
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a program, a folder's own files come first

from serving_core.cores import usable_cores  # noqa: E402 - the path comes first
from serving_core.images import crop, decode  # noqa: E402 - the path comes first
from serving_core.models.manifest import ServedTransform  # noqa: E402 - the path comes first

TRANSFORM = ServedTransform(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
MOST_PIXELS = 50_000_000


def prepare(content: bytes) -> bytes:
    """Decode and transform one image; return its pixels, because a process must send them back too."""
    return crop(decode(content, MOST_PIXELS), TRANSFORM).tobytes()


def rate(pool: Executor, workers: int, images: list[bytes], seconds: float) -> float:
    """Return images per second, with as many images under way as workers, and as many waiting."""
    done, began_s = 0, perf_counter()
    waiting = [pool.submit(prepare, images[number % len(images)]) for number in range(2 * workers)]
    while perf_counter() - began_s < seconds:
        waiting.pop(0).result()
        done += 1
        waiting.append(pool.submit(prepare, images[done % len(images)]))
    elapsed_s = perf_counter() - began_s
    for one in waiting:
        one.result()
    return done / elapsed_s


def main() -> None:
    """Measure in interleaved rounds and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a measurement (2)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each pool (5)")
    options = parser.parse_args()
    cores = usable_cores()
    pools: dict[str, tuple[Executor, int]] = {
        "1 thread": (ThreadPoolExecutor(1), 1),
        f"{cores} threads": (ThreadPoolExecutor(cores), cores),
        f"{cores} processes": (ProcessPoolExecutor(cores), cores),
    }
    for kind in ("small", "seed"):
        images = [file.read_bytes() for file in sorted((ROOT / "images").glob(f"*_{kind}.jpg"))]
        rates: dict[str, list[float]] = {name: [] for name in pools}
        for pool, workers in pools.values():
            rate(pool, workers, images, options.seconds / 4)
        for _ in range(options.rounds):
            for name, (pool, workers) in pools.items():
                rates[name].append(rate(pool, workers, images, options.seconds))
        for name, measured in rates.items():
            print(f"{kind:6s} {name:12s} {statistics.median(measured):7.0f} images/s")
    for pool, _ in pools.values():
        pool.shutdown()


if __name__ == "__main__":
    main()
