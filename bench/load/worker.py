"""Workers for a master on another host: a new process for each trial, until Ctrl-C.

`python -m bench.load.worker --master HOST --port PORT`. This module does not import locust: it starts
`bench.load.fleet_worker`, which drives in its own process.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
DISMISSED_CODE, GONE_CODE = 3, 4
PAUSE_S = 0.5


def worker_command(host: str, port: int) -> list[str]:
    """Return the command that drives one trial for the master at this address."""
    return [sys.executable, "-m", "bench.load.fleet_worker", host, str(port)]


def serve(host: str, port: int) -> None:
    """Drive one trial after another for the masters at this address; return on Ctrl-C or SIGTERM.

    Writes a line about each trial to stderr.
    """
    with contextlib.suppress(KeyboardInterrupt), _term_as_interrupt():
        _say(f"waiting for a master at {host}:{port}; Ctrl-C ends this")
        while True:
            _drive_one(host, port)


def _drive_one(host: str, port: int) -> None:
    """Run one worker until it has driven a trial, or no master needs it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603  # our own module
            worker_command(host, port),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            said = process.stdout.read() if process.stdout else b""
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        log.seek(0)
        words = log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    if code == 0:
        _say(f"drove a trial of {json.loads(said)['requests']} requests for {host}:{port}")
        return
    if code != GONE_CODE:
        _say(words[-1] if code == DISMISSED_CODE else f"the worker failed with {code}: {words[-1]}")
    time.sleep(PAUSE_S)


@contextmanager
def _term_as_interrupt() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(line: str) -> None:
    sys.stderr.write(f"worker: {line}\n")
    sys.stderr.flush()


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.worker", description=__doc__)
    parser.add_argument("--master", required=True, help="host where bench runs")
    parser.add_argument("--port", type=int, default=5557, help="port that its master listens on")
    args = parser.parse_args(argv)
    serve(args.master, args.port)


if __name__ == "__main__":
    main()
