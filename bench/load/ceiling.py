"""The driver's ceiling: how fast the driver is against a target that answers at once."""

import base64
import dataclasses
import hashlib
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.cores import pinned
from bench.errors import BenchError
from bench.load.drive_plan import MOST_ANSWER_BYTES
from bench.load.launch import Drive, Driven, Fleet, Target, free_port
from bench.load.reference_clients import Speed, apache_bench, plain_locust
from bench.load.samples import Samples
from bench.load.window import summarise
from bench.model import OUTCOMES, Ceiling, ClosedLoad, Payload
from bench.model.expectations import BytesExpectation, Expectation

PATH = "/predict/"
# how many turns each of the clients takes if they are compared: a disturbance then meets all of them
TURNS = 3
# half of what is allowed leaves room for the head
MOST_TARGET_BYTES = MOST_ANSWER_BYTES // 2
SHORT_ANSWER = b"{}"


def measure_ceiling(
    payloads: Sequence[Payload],
    load: ClosedLoad,
    target_cores: tuple[int, ...],
    seed: int,
    *,
    plain: bool = False,
    fleet: Fleet | None = None,
) -> Ceiling:
    """Drive the null target and return rate and CPU; measure ApacheBench too, if it is installed.

    With `plain`, plain Locust is measured too, and the three clients take turns of one window each.
    """
    answer = stand_in(payloads[0].expect)
    if len(answer) > MOST_TARGET_BYTES:
        # as text, a tensor's expectation may be longer than a driver lets any answer be; then the ceiling is
        # that of a short answer, above what the driver reaches with long ones
        answer = SHORT_ANSWER
    # the target gives every payload the same answer, so this is the right answer to every payload
    right = BytesExpectation(sha256=hashlib.sha256(answer).hexdigest())
    same = [dataclasses.replace(p, expect=right, path=None, reply="json") for p in payloads]
    ours, locust, ab = [], [], []
    with tempfile.TemporaryDirectory(prefix="bench-ceiling-") as folder:
        scratch = Path(folder)
        with null_target(answer, scratch, target_cores) as port:
            for _ in range(TURNS if plain else 1):
                ours.append(_our_speed(Target("127.0.0.1", port, PATH), same, load, seed, scratch, fleet))
                if plain:
                    locust.append(plain_locust(scratch / "plan.json"))
                ab.append(apache_bench(port, PATH, payloads[0], load.clients, load.window_s, scratch))
    driver, stock, apache = (Speed.of(turns) for turns in (ours, locust, ab))
    if driver is None:
        raise BenchError("the null target was never driven: this is a fault of bench")
    return Ceiling(
        payload_class=payloads[0].payload_class,
        encoding=payloads[0].encoding,
        clients=load.clients,
        throughput_rps=driver.throughput_rps,
        driver_cpu_ms_per_request=driver.cpu_ms_per_request,
        ab_throughput_rps=apache.throughput_rps if apache else None,
        ab_cpu_ms_per_request=apache.cpu_ms_per_request if apache else None,
        plain_throughput_rps=stock.throughput_rps if stock else None,
        plain_cpu_ms_per_request=stock.cpu_ms_per_request if stock else None,
    )


def stand_in(expect: Expectation) -> bytes:
    """An answer of about the length of a right one.

    What is unchecked, or known by its best classes alone, says nothing of its length: then it is short, and
    the ceiling above what the driver reaches with long answers.
    """
    if not isinstance(expect, BytesExpectation):
        return msgspec.json.encode(expect)
    if expect.sha256 is not None:
        return bytes(min(expect.length or 0, MOST_TARGET_BYTES)) or SHORT_ANSWER
    return base64.b64decode(expect.base64 or "") or (expect.text or "").encode() or SHORT_ANSWER


def _our_speed(
    target: Target,
    payloads: Sequence[Payload],
    load: ClosedLoad,
    seed: int,
    scratch: Path,
    fleet: Fleet | None,
) -> Speed:
    drive = Drive(target, payloads, load, seed, scratch, fleet)
    try:
        driven: Driven = drive.finish()
    finally:
        drive.close()
    figures = summarise(driven.samples, load.clients, load.warmup_s, load.window_s)
    if not figures.throughput_rps:
        raise BenchError(
            f"the null target answered nothing in {load.window_s:g} s (all requests: "
            f"{_outcomes(driven.samples)}): the machine stalled, let it rest and run again"
        )
    # the driver counted both over the same time, which may differ from the window by a moment
    per_request_s = driven.summary.cpu_s / driven.summary.requests
    answered = round(figures.throughput_rps * load.window_s)
    return Speed(answered, load.window_s, per_request_s * answered)


@contextmanager
def null_target(answer: bytes, scratch: Path, cores: tuple[int, ...]) -> Iterator[int]:
    """Run the null target on the cores and yield its port."""
    (scratch / "answer.json").write_bytes(answer)
    port = free_port()
    command = [sys.executable, "-m", "bench.load.null_target", "--port", str(port)]
    with pinned(cores):
        process = subprocess.Popen(  # noqa: S603  # our own module
            [*command, "--answer", str(scratch / "answer.json")],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        if process.stdout is None or process.stdout.readline().strip() != b"ready":
            raise BenchError("the null target did not start: its message is above")
        yield port
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _outcomes(samples: Samples) -> str:
    counts = Counter(OUTCOMES[int(code)] for code in samples.outcome)
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none was made"
