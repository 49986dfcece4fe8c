"""Whether the request that a thread works for is still wanted: work that takes long asks now and then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from serving_core.workers import note_progress

_CHECK: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)


@contextmanager
def working_for(check: Callable[[], None]) -> Iterator[None]:
    """Let `check` say, within this context and on this thread, whether the work is still wanted."""
    token = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(token)


def check_still_wanted() -> None:
    """Raise what ends the work if nobody waits for it any more; this thread counts as making progress."""
    note_progress()
    check = _CHECK.get()
    if check is not None:
        check()
