"""A fresh copy of a strategy that says that it is ready; nothing is known yet of its answers."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure.http_client import get_status, wait_until
from bench.measure.runtime.instance import Instance, Runtime, StrategyStartError
from bench.measure.steps.start import START_TIMEOUT_S, why_not_reached
from bench.model import Strategy


@contextmanager
def ready_copy(runtime: Runtime, strategy: Strategy) -> Iterator[Instance]:
    """A fresh copy that is ready; it is stopped after the block. Raises StrategyStartError."""
    instance = runtime.start(strategy)

    def ready() -> bool:
        return get_status(instance.host, instance.port, strategy.ready_path) == 200

    try:
        if wait_until(ready, START_TIMEOUT_S, instance.alive) is None:
            raise StrategyStartError(why_not_reached(instance, strategy, "ready", []))
        yield instance
    finally:
        instance.stop()
