"""A service that runs already, as the trials see it: it is not started, not stopped, and never pinned."""

import time
from typing import Protocol

from bench.measure.http_client import port_answers
from bench.measure.machine.usage import Usage
from bench.model import Attachment, Doubt

NO_CONNECTION = Doubt(
    "exited",
    "the service accepts no connections any more",
    "see why it ended, and start it again",
    voids=True,
    cause="service",
)


class ServiceAccount(Protocol):
    """Whose accounting tells what a service uses that runs already.

    `pid` is its first process, 0 if unknown, `here` whether that runs under this kernel, and `cores` are
    those that it may use, none if unknown. `listens` says whether it listens at the service's address, None
    if unknown. `memory_from` and `cpu_from` say what its figures are of.
    """

    pid: int
    here: bool
    cores: tuple[int, ...]
    listens: bool | None
    memory_from: str | None
    cpu_from: str | None

    def usage(self) -> Usage:
        """Read the accounting now; raises OSError, KeyError or ValueError if the service is gone."""

    def fate(self) -> tuple[Doubt, ...]:
        """What happened to it since the account was opened that voids a trial."""


class NoAccount:
    """The account of a service of which nothing is known but its address."""

    pid, here = 0, False
    cores: tuple[int, ...] = ()
    listens: bool | None = None
    memory_from: str | None = None
    cpu_from: str | None = None

    def usage(self) -> Usage:
        """A reading without figures."""
        return Usage(time.monotonic_ns(), None, None, None)

    def fate(self) -> tuple[Doubt, ...]:
        """Nothing is known."""
        return ()


class AttachedInstance:
    """A service that runs already, from when a trial takes it up."""

    address_kind = "as given"
    model_cache = ""

    def __init__(self, attachment: Attachment, port: int, account: ServiceAccount) -> None:
        self.created_ns = self.running_ns = time.monotonic_ns()
        self.host, self.port, self.access = attachment.host, port, attachment.access
        self._account = account
        self.pid = account.pid
        self.cores: tuple[int, ...] | None = account.cores

    @property
    def here(self) -> bool:
        """Whether it is known to run under this kernel."""
        return self._account.here

    def usage(self) -> Usage:
        """What its account says now."""
        return self._account.usage()

    def alive(self) -> bool:
        """Whether nothing is known to have happened to it."""
        return not self._account.fate()

    def fate(self) -> tuple[Doubt, ...]:
        """What its account says of it; without that, whether it still accepts connections."""
        found = self._account.fate()
        return found if found or port_answers(self.host, self.port) else (NO_CONNECTION,)

    def log_tail(self) -> str:
        """Its log is not known."""
        return ""

    def stop(self) -> None:
        """It runs on."""
