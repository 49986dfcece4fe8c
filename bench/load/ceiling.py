"""The driver's ceiling: the same payloads and clients against a target that answers at once."""

import dataclasses
import json
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.cores import pinned
from bench.errors import BenchError
from bench.load.launch import Drive, Target
from bench.load.samples import Samples
from bench.load.window import summarise
from bench.model import OUTCOMES, Ceiling, ClosedLoad, Payload

AB_REQUESTS_PER_S = 4000


def measure_ceiling(
    payloads: Sequence[Payload], load: ClosedLoad, target_cores: tuple[int, ...], seed: int
) -> Ceiling:
    """Drive the null target and return rate and CPU; `ab` runs beside it where it is installed."""
    label, probabilities = payloads[0].label, payloads[0].probabilities
    answer = json.dumps({"prediction": label, "probabilities": dict(probabilities)}).encode()
    # the target answers a constant, so that is the right answer to every payload here
    same = [dataclasses.replace(p, label=label, probabilities=probabilities) for p in payloads]
    with tempfile.TemporaryDirectory(prefix="bench-ceiling-") as folder:
        scratch = Path(folder)
        with null_target(answer, scratch, target_cores) as port:
            drive = Drive(Target("127.0.0.1", port, "/predict/"), same, load, seed, scratch)
            try:
                driven = drive.finish()
            finally:
                drive.close()
            ab_rps, ab_cpu_ms = apache_bench(port, payloads[0], load.clients, load.window_s, scratch)
    figures = summarise(driven.samples, load.clients, load.warmup_s, load.window_s)
    if not figures.ok:
        raise BenchError(
            f"the null target answered nothing in {load.window_s:g} s (all requests: "
            f"{_outcomes(driven.samples)}): the machine stalled, let it rest and run again"
        )
    return Ceiling(
        payload_class=payloads[0].payload_class,
        encoding=payloads[0].encoding,
        clients=load.clients,
        throughput_rps=round(figures.throughput_rps, 1),
        driver_cpu_ms_per_request=round(1e3 * driven.summary.cpu_s / driven.summary.requests, 4),
        ab_throughput_rps=ab_rps,
        ab_cpu_ms_per_request=ab_cpu_ms,
    )


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


def apache_bench(
    port: int, payload: Payload, clients: int, seconds: float, scratch: Path
) -> tuple[float | None, float | None]:
    """ApacheBench's rate and CPU ms a request with one of the bodies, None where it is not installed."""
    program = shutil.which("ab")
    if program is None:
        return None, None
    body = scratch / "ab-body"
    body.write_bytes(payload.body)
    requests = max(clients, int(seconds * AB_REQUESTS_PER_S))
    options = ("-q", "-k", "-c", str(clients), "-n", str(requests), "-p", str(body))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(  # noqa: S603  # ab, as found on the PATH
        [program, *options, "-T", payload.content_type, f"http://127.0.0.1:{port}/predict/"],
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = re.search(r"Requests per second:\s+([\d.]+)", done.stdout)
    if done.returncode != 0 or rate is None:
        return None, None
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(float(rate.group(1)), 1), round(1e3 * cpu_s / requests, 4)


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _outcomes(samples: Samples) -> str:
    counts = Counter(OUTCOMES[int(code)] for code in samples.outcome)
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none was made"
