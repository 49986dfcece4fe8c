"""`bench worker`: drive load from this host for a run on another one."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from bench.verbs.argument_types import WORKER_PORT, host, port


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Where the run is that load is driven for."""

    master: str
    port: int


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `worker`."""
    add = parser.add_argument
    add("--master", required=True, type=host, metavar="HOST", help="where `run --remote-workers` runs")
    add("--port", type=port, default=WORKER_PORT, metavar="P", help="its port (5557)")


def read(args: argparse.Namespace, _: Sequence[str]) -> WorkerOptions:
    """The options of `worker`."""
    return WorkerOptions(args.master, args.port)


def do(options: WorkerOptions) -> int:
    """Drive trial after trial, until Ctrl-C."""
    from bench.load.worker import serve

    serve(options.master, options.port)
    return 0
