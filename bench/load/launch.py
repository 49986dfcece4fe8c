"""Running the driver in its process, and reading back what it recorded."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.load.plan import READY, TOLERANCE, DrivePlan, DriveSummary, write_bodies, write_plan
from bench.load.samples import Samples, read_columns
from bench.model import ClosedLoad, Load, Payload

# between the word to start and the first request
LEAD_S = 0.05
EXIT_GRACE_S = 20.0
# how many requests of an open loop may be in flight; one that comes due beyond is late, which is told
MOST_IN_FLIGHT = 512


@dataclass(frozen=True, slots=True)
class Target:
    """Where a driver sends its requests."""

    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Driven:
    """What came of a drive: every request, and the driver's own account."""

    samples: Samples
    summary: DriveSummary


class Drive:
    """One driver process on its way through one plan."""

    def __init__(
        self, target: Target, payloads: Sequence[Payload], load: Load, seed: int, scratch: Path
    ) -> None:
        self._columns, self._summary = scratch / "columns", scratch / "summary.json"
        places = write_bodies(payloads, scratch / "bodies")
        self._load = load
        plan = DrivePlan(
            host=target.host,
            port=target.port,
            path=target.path,
            clients=load.clients if isinstance(load, ClosedLoad) else MOST_IN_FLIGHT,
            rate_per_s=None if isinstance(load, ClosedLoad) else load.rate_per_s,
            warmup_s=load.warmup_s,
            window_s=load.window_s,
            drain_s=load.drain_s,
            timeout_s=load.timeout_s,
            seed=seed,
            tolerance=TOLERANCE,
            bodies=str(scratch / "bodies"),
            payloads=places,
            columns=str(self._columns),
            summary=str(self._summary),
        )
        write_plan(plan, scratch / "plan.json")
        self._log = (scratch / "driver.log").open("w+b")
        self._process = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-m", "bench.load.driver", str(scratch / "plan.json")],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self.start_ns = self._begin()
        except BaseException:
            self.close()
            raise

    def instant(self, elapsed_s: float) -> float:
        """Seconds from now until an instant of the trial; 0 where it has passed."""
        return max(0.0, (self.start_ns - time.monotonic_ns()) / 1e9 + elapsed_s)

    def follow(self, tell: Callable[[float, int], None]) -> None:
        """Pass on elapsed seconds and requests so far, once a second, until the driver ends."""
        for line in self._process.stdout or ():
            with contextlib.suppress(ValueError, KeyError):
                said = json.loads(line)
                tell(float(said["elapsed_s"]), int(said["requests"]))

    def _begin(self) -> int:
        """Wait until the driver has built its clients, then tell it the epoch and return that."""
        if self._process.stdin is None or self._process.stdout is None:
            raise BenchError("the driver has no pipes: this is a fault of bench")
        if self._process.stdout.readline().strip() != READY.encode():
            self._process.wait()
            raise BenchError(f"the driver did not start: {self._last_words()}")
        start_ns = time.monotonic_ns() + int(LEAD_S * 1e9)
        try:
            self._process.stdin.write(b"%d\n" % start_ns)
            self._process.stdin.close()
        except BrokenPipeError:
            raise BenchError(f"the driver did not start: {self._last_words()}") from None
        return start_ns

    def finish(self) -> Driven:
        """Wait for the driver and read what it wrote; raises BenchError where it failed."""
        longest_s = (
            self.instant(self._load.warmup_s + self._load.window_s + self._load.drain_s) + EXIT_GRACE_S
        )
        try:
            code = self._process.wait(timeout=longest_s)
        except subprocess.TimeoutExpired:
            raise BenchError("the driver did not end: report this with the command that you ran") from None
        if code != 0:
            raise BenchError(f"the driver failed with {code}: {self._last_words()}")
        summary = DriveSummary(**json.loads(self._summary.read_text(encoding="utf-8")))
        return Driven(read_columns(self._columns, summary.rows), summary)

    def cut_short(self) -> Driven:
        """Let the driver send nothing more and drain, and read what it wrote until now."""
        self._process.terminate()
        return self.finish()

    def close(self) -> None:
        """Release the process and its pipes; a driver that still runs is killed."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
