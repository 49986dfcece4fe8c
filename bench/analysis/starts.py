"""How long a strategy takes from the create call to its first correct answer."""

from collections.abc import Iterator

from bench.model import Run, Startup
from bench.statistics import median


def every_start(run: Run) -> Iterator[tuple[str, Startup | None]]:
    """Each strategy's starts, those with a warm model cache after the others; None where there are none."""
    for name, result in run.strategies.items():
        yield name, result.startup
        if result.warm_startup is not None:
            yield name, result.warm_startup


def middle(values: tuple[float, ...]) -> float | None:
    """The median alone; None without values."""
    found = median(values)
    return found.centre if found else None
