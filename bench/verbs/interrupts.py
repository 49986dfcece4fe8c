"""Signals that ask the harness to end: each works like Ctrl-C, and waits while things are put back."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def end_as_by_ctrl_c() -> None:
    """Let every signal that asks to end raise KeyboardInterrupt, except those that are ignored (nohup)."""
    for number in ENDING:
        if number != signal.SIGINT and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _as_interrupt)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore every signal that asks to end while the block runs."""
    # a function, since processes that are started meanwhile would inherit SIG_IGN
    before = {number: signal.signal(number, _do_nothing) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _do_nothing(*_: object) -> None:
    """Ignore the signal."""
