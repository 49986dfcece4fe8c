"""The signals that reach a service: which of them stop it, and which it ignores.

A signal without a handler would end the process in the middle of its answers.
"""

import os
import signal


def _known(*names: str) -> tuple[signal.Signals, ...]:
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


# Orchestrators and users send SIGTERM, a terminal SIGINT, SIGQUIT and, when it closes, SIGHUP; some container
# and machine managers send SIGPWR.
STOPPING = _known("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGPWR")
# Only the second of these hurries a stop: a terminal that closes sends SIGHUP twice, by its kernel and its
# shell, and systemd may send SIGHUP after SIGTERM.
HURRYING = frozenset(_known("SIGTERM", "SIGINT"))
# Other programs use these to open their logs anew, to report their state or to time themselves.
IGNORED = _known("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPIPE")


def stopping_signals() -> list[signal.Signals]:
    """Return the signals that stop this process; a signal that `nohup` had it ignore does not."""
    return [
        number for number in STOPPING if number in HURRYING or signal.getsignal(number) is not signal.SIG_IGN
    ]


def end_at_once_when_stopped() -> None:
    """End with status 0 at a stopping signal, as long as there are no answers to wait for.

    A container's first process would not even notice a signal without a handler.
    """
    for number in stopping_signals():
        signal.signal(number, lambda *_: os._exit(0))
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)


def ignore_stopping_signals() -> None:
    """Ignore the stopping signals from now on, because the process ends anyway."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
