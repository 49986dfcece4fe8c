"""What every verb that measures does around its session: choose a runtime, and put everything back."""

import argparse

from bench.cores import Cores
from bench.errors import BenchError
from bench.interrupts import undisturbed
from bench.measure.progress import Progress
from bench.measure.runtime.instance import Runtime
from bench.measure.runtime.registry import Registry
from bench.terminal_progress import TerminalProgress


def put_back(progress: TerminalProgress, runtime: Runtime) -> None:
    """Take the progress away and restore what ran; a second Ctrl-C must not leave that half done."""
    with undisturbed():
        progress.close()
        runtime.close()


def choose_runtime(args: argparse.Namespace, registry: Registry, cores: Cores, progress: Progress) -> Runtime:
    """The runtime asked for; "auto" takes containers where an engine answers and says which it took."""
    from bench.measure.runtime.process_runtime import ProcessRuntime

    asked = args.runtime
    # workers on other hosts reach the services where they reach this one
    reach = args.listen[0] if args.remote_workers else None
    if asked != "process":
        from bench.measure.runtime.compose_runtime import ComposeRuntime, connect_engine

        try:
            engine = connect_engine()
        except BenchError:
            if asked == "compose":
                raise
        else:
            progress.note("runtime: compose (a Docker engine answers)")
            return ComposeRuntime(registry, cores, engine, progress, args.device, reach)
    why = "as asked" if asked == "process" else "no Docker engine answers, image size is not measurable"
    progress.note(f"runtime: process ({why})")
    return ProcessRuntime(registry, cores, args.device, reach)
