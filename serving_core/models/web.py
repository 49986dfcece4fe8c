"""A file at a web address: one GET, whose redirects are checked like the address itself."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urljoin

import requests
from requests.auth import AuthBase
from requests.utils import get_auth_from_url

from serving_core.errors import StoreError
from serving_core.models.addresses import is_web, parse, shown
from serving_core.models.connections import connection_faults
from serving_core.models.sources import (
    CHUNK_BYTES,
    TIMEOUT_S,
    AccessRefused,
    Missing,
    Object,
    Sink,
    Transient,
)

MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BUSY = frozenset({408, 425, 429})
# http leads only to this machine, which no proxy stands before
DIRECT = {"http": ""}
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
GIVE_WHOLE = "give an address that answers a GET with the whole file"
GIVE_READABLE = (
    "give an address that may be read; if addresses are signed, the manifest needs an address of its own, "
    "MANIFEST_URI"
)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Leave redirects to WebObject; requests would read their bodies, however long."""
        del resp


class _NoCredentials(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class WebObject:
    """A file at an address that answers a GET, as signed addresses do, which may refuse a HEAD."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._session = _Session()
        self._session.headers["Accept-Encoding"] = "identity"
        self._answer: requests.Response | None = None

    def describe(self) -> Object:
        """Open the stream that `download` reads, and return what its headers say."""
        self._close_answer()
        with connection_faults():
            self._answer = answer = self._open()
        _check_status(answer.status_code)
        headers = answer.headers
        encoding = headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            raise AccessRefused(
                f"it is sent with Content-Encoding {encoding}", "store it without an encoding"
            )
        hashes = [part.strip() for part in headers.get("x-goog-hash", "").split(",")]
        crc32c = next((part[len("crc32c=") :] for part in hashes if part.startswith("crc32c=")), None)
        length = headers.get("Content-Length")
        if length is not None and not _LENGTH.fullmatch(length):
            raise AccessRefused("its Content-Length is malformed", GIVE_WHOLE)
        return Object(_version(headers), int(length) if length else None, crc32c)

    def download(self, described: Object, sink: Sink) -> None:
        """Read the stream that `describe` opened."""
        del described
        assert self._answer is not None  # noqa: S101 - the protocol says so
        with connection_faults():
            # unlike iter_content, this bounds the lines between chunks, and decodes nothing
            while chunk := self._answer.raw.read(CHUNK_BYTES, decode_content=False):
                sink.write(chunk)

    def close(self) -> None:
        """Close the stream and the connections."""
        self._close_answer()
        self._session.close()

    def _close_answer(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _open(self) -> requests.Response:
        """Follow the redirects and return the last answer, with its body unread."""
        before, address = None, self._uri
        for _ in range(MOST_REDIRECTS + 1):
            request = self._session.prepare_request(
                requests.Request("GET", address, auth=self._auth(address))
            )
            # judged is what will be called: the library may read an odd address otherwise than urlsplit does
            address = request.url or ""
            self._check_hop(before, parse(address))
            settings = self._session.merge_environment_settings(address, DIRECT, True, None, None)
            answer = self._session.send(request, timeout=TIMEOUT_S, allow_redirects=False, **settings)
            location = answer.headers.get("Location")
            if answer.status_code not in REDIRECTS or not location:
                return answer
            answer.close()
            before, address = parse(address), _joined(address, location)
        raise StoreError(
            f"{shown(self._uri)} redirects more than {MOST_REDIRECTS} times: "
            "give the address of the file itself"
        )

    def _auth(self, address: str) -> AuthBase | tuple[str, str] | None:
        """Return the credentials for a host: what the given address holds is for its own host alone."""
        if _origin(parse(address)) != _origin(parse(self._uri)):
            return _NoCredentials()
        given = get_auth_from_url(self._uri)
        return given if any(given) else None

    def _check_hop(self, before: SplitResult | None, there: SplitResult) -> None:
        """Raise StoreError for an address that is refused directly, and for https that leads to http."""
        downgraded = before is not None and before.scheme == "https" and there.scheme != "https"
        if is_web(there) and not downgraded:
            return
        if before is None:
            raise StoreError(f"{shown(self._uri)} is not a model address: give https://host/path")
        raise StoreError(
            f"{shown(self._uri)} redirects to {shown(there.geturl())}, which is not https: "
            "give the address of the file itself"
        )


def _joined(address: str, location: str) -> str:
    """Return the address to which a redirect leads; headers arrive as Latin-1 and are UTF-8."""
    location = location.encode("latin-1").decode("utf-8", "replace")
    parse(location)  # raises StoreError if it is malformed
    return urljoin(address, location)


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.scheme, parts.hostname, port or {"https": 443, "http": 80}.get(parts.scheme)


def _version(headers: Mapping[str, str]) -> str:
    return headers.get("x-goog-generation") or headers.get("ETag") or headers.get("Last-Modified") or ""


def _check_status(status: int) -> None:
    if status == 200:
        return
    if status in (404, 410):
        raise Missing
    if status in BUSY or status >= 500:
        raise Transient(f"HTTP status {status}")
    if status in (401, 403):
        raise AccessRefused(f"HTTP status {status}", GIVE_READABLE)
    raise AccessRefused(f"HTTP status {status}", GIVE_WHOLE)
