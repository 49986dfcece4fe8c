"""A service that runs already: where it is, how it is reached, and whose accounting tells what it uses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Scheme = Literal["http", "https"]
Accounting = Literal["none", "process", "container"]


@dataclass(frozen=True, slots=True)
class Access:
    """How a service is reached, beside its host and port; without a value it is plain HTTP.

    `ca` is the PEM text of the only authorities that may vouch for it, None for those of the system.
    `variables` maps each header that it gets to the environment variable that holds the header's value: the
    value itself is in no file and no message. `query` is what its address has behind the question mark, which
    may be a key: it is sent, and no file that is kept and no message has it.
    """

    tls: bool = False
    ca: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    query: str = ""


PLAIN = Access()


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a service runs that bench does not start, and how to learn what it uses.

    `host` is a name or an address, an IPv6 address without its brackets. `pid` is the service's first process
    and `container` its container's name or number, both on this machine; with neither, nobody knows what it
    uses.
    """

    host: str
    access: Access = PLAIN
    pid: int | None = None
    container: str | None = None

    @property
    def accounting(self) -> Accounting:
        """Whose accounting tells what it uses."""
        if self.pid is not None:
            return "process"
        return "none" if self.container is None else "container"
