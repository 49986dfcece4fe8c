"""The arguments about services that run already: where each is, how it is reached, and what tells its use."""

import argparse
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from bench.errors import UsageError
from bench.load.reaching import USUAL_PORTS, bracketed, headers_of, tls_context
from bench.model import Access, AttachedOptions, Attachment, Scheme
from bench.model.from_outside import (
    NAME_RULE,
    OWN_HEADERS,
    is_header,
    is_http_path,
    is_name,
    whole_number,
)
from bench.run_file.json_text import file_bytes
from bench.verbs.argument_types import HOST, path

CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPTIONS = ("--url", "--pid", "--container", "--ca", "--header-env")
HIDDEN_QUERY = "?QUERY"
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ServiceUrl:
    """The address of a service that runs already, as `--url` gives it."""

    name: str
    scheme: Scheme
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class HeaderVariable:
    """A header of a service's requests, and the environment variable that holds its value."""

    name: str
    header: str
    variable: str


@dataclass(frozen=True, slots=True)
class AttachedService:
    """A service that runs already, as it is given on the command line; no run.json keeps it."""

    url: ServiceUrl
    attachment: Attachment

    @property
    def words(self) -> list[str]:
        """The options that give it again, for a command that is shown and kept nowhere.

        Terminals are kept, too, in the logs of a workflow: a query, which may be a key, stands as QUERY.
        """
        url, name = self.url, self.url.name
        path, sign, _ = url.path.partition("?")
        address = f"{url.scheme}://{bracketed(url.host)}:{url.port}{path}{sign and HIDDEN_QUERY}"
        words = ["--url", f"{name}={address}"]
        words += ["--pid", f"{name}={self.attachment.pid}"] if self.attachment.pid is not None else []
        if self.attachment.container is not None:
            words += ["--container", f"{name}={self.attachment.container}"]
        for header, variable in self.attachment.access.variables.items():
            words += ["--header-env", f"{name}:{header}={variable}"]
        return words

    @property
    def public(self) -> AttachedOptions:
        """What a run says of it."""
        headers = tuple(self.attachment.access.variables)
        return AttachedOptions(self.url.name, self.url.scheme, self.attachment.accounting, headers)


def add_attached(parser: argparse.ArgumentParser) -> None:
    """What is given of services that run already."""
    add = parser.add_argument
    add(
        "--url",
        type=service_url,
        action="append",
        default=[],
        metavar="NAME=URL",
        help="a service that runs already, measured under this name; may be given several times, and without "
        "--strategies only these are measured",
    )
    add(
        "--pid",
        type=named_pid,
        action="append",
        default=[],
        metavar="NAME=PID",
        help="the first process of the service, for CPU time and memory",
    )
    add(
        "--container",
        type=named_container,
        action="append",
        default=[],
        metavar="NAME=CONTAINER",
        help="the container of the service, for CPU time and memory",
    )
    add("--ca", type=path, metavar="FILE", help="the authorities that services of https trust (the system's)")
    add(
        "--header-env",
        type=header_variable,
        action="append",
        default=[],
        metavar="NAME:HEADER=VARIABLE",
        help="a header of the service's requests, whose value is in this environment variable and is kept "
        "nowhere",
    )


def refuse_attached(parser: argparse.ArgumentParser, why: str) -> None:
    """Refuse an address in a line that says what to do instead: other verbs of bench take one."""
    # without a default: who gave none has no such option, as in a verb that never heard of it
    parser.add_argument(
        "--url", type=partial(not_here, why), default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )


def not_here(why: str, _: str) -> str:
    """Refuse any text, for this reason."""
    raise argparse.ArgumentTypeError(why)


def read_attached(args: argparse.Namespace) -> tuple[AttachedService, ...]:
    """The services that run already; raises UsageError for what does not fit together."""
    urls: list[ServiceUrl] = args.url
    _require_once("--url", [one.name for one in urls])
    pids, containers = _by_name("--pid", args.pid), _by_name("--container", args.container)
    variables: list[HeaderVariable] = args.header_env
    known = [one.name for one in urls]
    for option, names in (
        ("--pid", pids),
        ("--container", containers),
        ("--header-env", [one.name for one in variables]),
    ):
        for name in names:
            if name not in known:
                raise UsageError(f"{option} is for {name}, which has no address: give --url {name}=URL too")
    both = [name for name in pids if name in containers]
    if both:
        raise UsageError(f"{both[0]} has a --pid and a --container: leave out one")
    if args.ca is not None and not any(one.scheme == "https" for one in urls):
        raise UsageError("--ca is for services of https: give --url NAME=https://… too, or leave it out")
    ca = None if args.ca is None else _authorities(args.ca)
    return tuple(
        AttachedService(
            one,
            Attachment(one.host, _access(one, ca, variables), pids.get(one.name), containers.get(one.name)),
        )
        for one in urls
    )


def _access(url: ServiceUrl, ca: str | None, variables: Iterable[HeaderVariable]) -> Access:
    tls = url.scheme == "https"
    mine = [one for one in variables if one.name == url.name]
    _require_once(f"--header-env {url.name}", [one.header.lower() for one in mine])
    named = {one.header: one.variable for one in mine}
    access = Access(tls, ca if tls else None, named, url.path.partition("?")[2])
    headers_of(access)
    return access


def _authorities(file: Path) -> str:
    """The PEM text of the file; raises UsageError if it holds no certificate."""
    try:
        text = file_bytes(file).decode("ascii", errors="replace")
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"the file of --ca cannot be read ({why}): name one that you may read") from None
    tls_context(text)
    return text


def _by_name(option: str, pairs: Iterable[tuple[str, Value]]) -> Mapping[str, Value]:
    pairs = list(pairs)
    _require_once(option, [name for name, _ in pairs])
    return dict(pairs)


def _require_once(option: str, names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{option} is given twice for {twice}: leave out one")


def service_url(text: str) -> ServiceUrl:
    """A name and an address such as `mine=http://127.0.0.1:9000/predict`."""
    name, address = _named(text, "URL, such as mine=http://127.0.0.1:9000/predict")
    return url_at(name, address, f"{name}:")


def url_at(name: str, address: str, whose: str) -> ServiceUrl:
    """The address under this name; raises ArgumentTypeError, with `whose` in front of the header to give."""
    if not (address.isascii() and address.isprintable() and " " not in address):
        raise argparse.ArgumentTypeError(
            f"the address of {name} has characters that no URL has: write it with %XX or punycode"
        )
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        # the cause is not shown: it may hold a part of a password
        raise argparse.ArgumentTypeError(
            f"the address of {name} is none: write it like http://HOST:PORT/PATH, an IPv6 address in brackets"
        ) from None
    if parts.username is not None or parts.password is not None:
        # not shown: it may hold a password
        raise argparse.ArgumentTypeError(
            f"the address of {name} has a user or a password in it, which others may read: take it out, and "
            f"give --header-env {whose}Authorization=VARIABLE"
        )
    if parts.scheme not in ("http", "https"):
        raise argparse.ArgumentTypeError(f"the address of {name} is not one of http:// or https://: give one")
    scheme: Scheme = "https" if parts.scheme == "https" else "http"
    if port == 0:
        raise argparse.ArgumentTypeError(f"the address of {name} has port 0: name one from 1 to 65535")
    usual = USUAL_PORTS[scheme == "https"]
    return ServiceUrl(name, scheme, _host(name, parts), usual if port is None else port, _path(name, parts))


def _host(name: str, parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not HOST.fullmatch(host):
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"the address of {name} has no host: name one, an IPv6 address in brackets"
            ) from None
    return host


def _path(name: str, parts: SplitResult) -> str:
    found = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.fragment or not is_http_path(found):
        raise argparse.ArgumentTypeError(
            f"the address of {name} does not end as one that a request can be sent to: leave out what is "
            "behind # and use up to 1024 characters"
        )
    return found


def named_pid(text: str) -> tuple[str, int]:
    """A name and the number of a process."""
    name, number = _named(text, "PID")
    pid = whole_number(number)
    if not pid or pid >= 2**31:
        raise argparse.ArgumentTypeError(f"{number[:20]!r} is not the number of a process")
    return name, pid


def named_container(text: str) -> tuple[str, str]:
    """A name and a container's name or number."""
    name, container = _named(text, "CONTAINER")
    if not CONTAINER.fullmatch(container):
        raise argparse.ArgumentTypeError(f"{container[:60]!r} is not a container's name: see `docker ps`")
    return name, container


def header_variable(text: str) -> HeaderVariable:
    """A service's name, a header and an environment variable, such as `mine:Authorization=TOKEN`."""
    named, _, variable = text.partition("=")
    name, _, header = named.partition(":")
    if not (is_name(name) and is_header(header) and VARIABLE.fullmatch(variable)):
        # not shown: it may hold the value
        raise argparse.ArgumentTypeError(
            "write NAME:HEADER=VARIABLE, such as mine:Authorization=TOKEN, where TOKEN names an environment "
            "variable and is not the value"
        )
    if header.lower() in OWN_HEADERS:
        raise argparse.ArgumentTypeError(f"{header} is the request's own: name another header")
    return HeaderVariable(name, header, variable)


def _named(text: str, what: str) -> tuple[str, str]:
    name, sign, rest = text.partition("=")
    if not sign or not is_name(name):
        raise argparse.ArgumentTypeError(f"write NAME={what}; of the name: {NAME_RULE}")
    return name, rest


def public_word(option: str, word: str) -> str:
    """The value of an option as a run may keep it: names and the scheme, no address of this machine's."""
    name, _, rest = word.partition("=")
    hidden: dict[str, Callable[[], str]] = {
        "--url": lambda: f"{rest.partition('://')[0]}://HOST",
        "--pid": lambda: "PID",
        "--container": lambda: "CONTAINER",
    }
    return f"{name}={hidden[option]()}" if option in hidden else word
