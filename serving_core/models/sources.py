"""Where objects are kept: Google Cloud Storage and plain HTTPS behind one small interface."""

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

from serving_core.errors import StoreError
from serving_core.models.addresses import is_web, parse, shown

CHUNK_BYTES = 1024 * 1024
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
TIMEOUT_S = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)


class Missing(Exception):  # noqa: N818 - an outcome, turned into a StoreError in one place
    """The object does not exist."""


class AccessRefused(Exception):  # noqa: N818 - an outcome, turned into a StoreError in one place
    """The object may not be read, or not in this way; `remedy` says what to do."""

    def __init__(self, cause: str, remedy: str = "grant this service's account read access") -> None:
        super().__init__(cause)
        self.remedy = remedy


class Transient(Exception):  # noqa: N818 - an outcome, turned into a StoreError in one place
    """A fault that may be over in a moment."""


class Corrupt(Exception):  # noqa: N818 - an outcome, turned into a StoreError in one place
    """The bytes that arrived differ from the object's."""


@dataclass(frozen=True, slots=True)
class Object:
    """A store's facts about an object: version ("" if unknown), and, if known, bytes and base64 crc32c."""

    version: str
    size_bytes: int | None
    crc32c: str | None


class Sink(Protocol):
    """What takes an object's bytes; it raises an exception if there are too many of them."""

    def write(self, chunk: bytes, /) -> int:
        """Take some more bytes; return their number."""


class Source(Protocol):
    """One object in a store; `describe` and `download` raise Missing, AccessRefused, Transient or Corrupt."""

    def describe(self) -> Object:
        """Return the object's present version and its facts."""

    def download(self, described: Object, sink: Sink) -> None:
        """Stream the bytes of the object, which was just described as `described`, into `sink`."""

    def close(self) -> None:
        """Close the connections to the store."""


def open_source(uri: str, local_store: str | None = None) -> Source:
    """Return the source at `uri`; raises StoreError for a scheme or form that is not supported.

    If `local_store` is "bucket=http://host:port", a stand-in serves that bucket and needs no credentials.
    """
    # Each is imported where it is needed: Google's library takes a third of a second.
    parts = parse(uri)
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme == "gs" and parts.netloc and name:
        from serving_core.models.buckets import BucketObject

        bucket, _, endpoint = (local_store or "").partition("=")
        return BucketObject(parts.netloc, name, endpoint if bucket == parts.netloc else None)
    if is_web(parts):
        from serving_core.models.web import WebObject

        return WebObject(uri)
    raise StoreError(
        f"{shown(uri)} is not a model address: give gs://bucket/name, file:///path or https://host/path"
    )
