"""The clients that the driver is compared with at its ceiling: ApacheBench and plain Locust."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.model import Payload

ROOT = Path(__file__).parents[2]
AB_REQUESTS_PER_S = 4000


@dataclass(frozen=True, slots=True)
class Speed:
    """How many requests were answered, in which time, and the CPU time that the client used."""

    requests: int
    wall_s: float
    cpu_s: float

    @property
    def throughput_rps(self) -> float:
        """Requests per second."""
        return round(self.requests / self.wall_s, 1)

    @property
    def cpu_ms_per_request(self) -> float:
        """CPU milliseconds of the client per request."""
        return round(1e3 * self.cpu_s / self.requests, 4)

    @classmethod
    def of(cls, turns: "Sequence[Speed | None]") -> "Speed | None":
        """Return the sum of several turns, None if there are no turns or a turn failed."""
        kept = [turn for turn in turns if turn is not None]
        if not kept or len(kept) < len(turns):
            return None
        return cls(
            sum(turn.requests for turn in kept),
            sum(turn.wall_s for turn in kept),
            sum(turn.cpu_s for turn in kept),
        )


def apache_bench(
    port: int, path: str, payload: Payload, clients: int, seconds: float, scratch: Path
) -> Speed | None:
    """Run ApacheBench with the payload for about that long; None if it is not installed, failed, or its
    CPU time cannot be read."""
    program = shutil.which("ab")
    if program is None:
        return None
    body = scratch / "ab-body"
    body.write_bytes(payload.body)
    requests = max(clients, int(seconds * AB_REQUESTS_PER_S))
    options = ("-q", "-k", "-c", str(clients), "-n", str(requests), "-p", str(body))
    try:
        import resource
    except ImportError:  # Windows does not say what a child used
        return None
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(  # noqa: S603  # the ab on the PATH
        [program, *options, "-T", payload.content_type, f"http://127.0.0.1:{port}{path}"],
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = re.search(r"Requests per second:\s+([\d.]+)", done.stdout)
    if done.returncode != 0 or rate is None:
        return None
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Speed(requests, requests / float(rate.group(1)), cpu_s)


def plain_locust(plan: Path) -> Speed:
    """Run plain Locust with a plan's bodies, clients and window; raises BenchError if it fails."""
    done = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-m", "bench.load.plain_locust", str(plan)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["it said nothing"]
        raise BenchError(f"plain Locust failed with {done.returncode}: {words[-1]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    if said["failed"] or not said["requests"]:
        raise BenchError(
            f"plain Locust failed {said['failed']} requests at the null target: let the machine rest"
        )
    return Speed(said["requests"], said["wall_s"], said["cpu_s"])
