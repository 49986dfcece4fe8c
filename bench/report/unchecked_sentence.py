"""What stands on top of everything that is said of a run whose answers nobody checked."""

from collections.abc import Mapping

from bench.model import Run
from bench.report import text


def unchecked_requests(run: Run) -> Mapping[str, int]:
    """How many requests of each class that was timed have answers that nothing checks; empty if none have."""
    settings = run.environment.settings
    found = settings.unchecked if settings else None
    return found if isinstance(found, Mapping) else {}


def unchecked_sentence(run: Run) -> str:
    """Which answers were not checked; empty if all were."""
    found = unchecked_requests(run)
    if not found:
        return ""
    told = text.listing([f"{text.plural(count, 'request')} of class {name}" for name, count in found.items()])
    return f"ANSWERS UNCHECKED: nothing says whether the answers to {told} are right."
