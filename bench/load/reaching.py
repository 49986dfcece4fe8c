"""How a service is reached: its Host header, the headers that it gets from the environment, and TLS."""

import os
import ssl
from collections.abc import Mapping
from functools import cache

from bench.errors import UsageError
from bench.model import Access

USUAL_PORTS = {False: 80, True: 443}


def authority(host: str, port: int, access: Access) -> str:
    """The Host header: an IPv6 address in brackets, and the port unless it is the scheme's usual one."""
    return bracketed(host) if port == USUAL_PORTS[access.tls] else f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """A host as a URL has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def headers_of(access: Access, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The headers that the environment has the values of; raises UsageError for a value that is not there.

    The message never holds a value.
    """
    given = os.environ if environment is None else environment
    found = {}
    for header, variable in access.variables.items():
        value = given.get(variable, "").strip(" \t")
        if not value:
            raise UsageError(
                f"the variable that --header-env names for {header} is not in the environment: export it, "
                "and give its name, not its value"
            )
        if not (value.isascii() and value.isprintable()):
            raise UsageError(
                f"{variable}, which --header-env names for {header}, is not one line of ASCII characters: "
                "export it anew"
            )
        found[header] = value
    return found


def with_access(access: Access, headers: Mapping[str, str]) -> dict[str, str]:
    """A request's headers and those of the access, of which a request's own takes the place."""
    named = {name.lower() for name in headers}
    return {name: value for name, value in headers_of(access).items() if name.lower() not in named} | dict(
        headers
    )


@cache
def tls_context(ca: str | None) -> ssl.SSLContext:
    """What checks certificates and their names: by the authorities of this PEM text, or by the system's.

    Raises UsageError if the text holds no certificate.
    """
    try:
        return ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise UsageError("the file of --ca holds no certificate in PEM: name one that does") from None
