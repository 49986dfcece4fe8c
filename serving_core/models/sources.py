"""Where objects are kept: Google Cloud Storage and plain HTTPS behind one small interface."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote

from serving_core.errors import StoreError
from serving_core.models.addresses import parse, shown

CHUNK_BYTES = 1024 * 1024
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
TIMEOUT_S = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"


class Missing(Exception):  # noqa: N818 - an outcome, turned into a StoreError in one place
    """The object does not exist."""


class AccessRefused(Exception):  # noqa: N818 - an outcome, turned into a StoreError in one place
    """The store refuses access, whether or not it knows who asks."""


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


class Source(Protocol):
    """One object in a store; `describe` and `download` raise Missing, AccessRefused, Transient or Corrupt."""

    def describe(self) -> Object:
        """Return the object's present version and its facts."""

    def download(self, described: Object, file: BinaryIO) -> None:
        """Stream the bytes of the object, described as `described`, into `file`."""

    def close(self) -> None:
        """Close the connections to the store."""


def open_source(uri: str, local_store: str | None = None) -> Source:
    """Return the source at `uri`; raises StoreError for a scheme or form that is not supported.

    If `local_store` is "bucket=http://host:port", a stand-in serves that bucket and needs no credentials.
    """
    parts = parse(uri)
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme == "gs" and parts.netloc and name:
        bucket, _, endpoint = (local_store or "").partition("=")
        return _GoogleObject(parts.netloc, name, endpoint if bucket == parts.netloc else None)
    if parts.netloc and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
        return _WebObject(uri)
    raise StoreError(
        f"{shown(uri)} is not a model address: give gs://bucket/name, file:///path or https://host/path"
    )


class _GoogleObject:
    def __init__(self, bucket: str, name: str, endpoint: str | None) -> None:
        # Imported here because the import takes a third of a second, which a local model does not need.
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        with _google_faults():
            credentials: Any
            if endpoint or os.environ.get("STORAGE_EMULATOR_HOST"):
                credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google-auth types it not
            else:
                credentials = _credentials()
            # A read names its bucket, so it needs no project.
            self._client = storage.Client(
                project="unused",
                credentials=credentials,
                client_options={"api_endpoint": endpoint} if endpoint else None,
            )
        self._bucket = self._client.bucket(bucket)
        self._name = name

    def describe(self) -> Object:
        blob = self._bucket.blob(self._name)
        with _google_faults():
            blob.reload(retry=None, timeout=TIMEOUT_S)
        return Object(str(blob.generation), blob.size, blob.crc32c)

    def download(self, described: Object, file: BinaryIO) -> None:
        # The checksum reveals another version; a request for the described generation would call it missing.
        del described
        # A described blob would be fetched from the address in its metadata, where the store believes that it
        # can be reached; a new blob is fetched from the address at which we reach the store.
        blob = self._bucket.blob(self._name)
        with _google_faults():
            # The caller verifies against the metadata, which works even if a response carries no checksum.
            blob.download_to_file(file, retry=None, timeout=TIMEOUT_S, checksum=None, raw_download=True)

    def close(self) -> None:
        self._client.close()


def _credentials() -> Any:
    import google.auth
    from google.oauth2.credentials import Credentials

    token = os.environ.get("CLOUDSDK_AUTH_ACCESS_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise StoreError("CLOUDSDK_AUTH_ACCESS_TOKEN is not an access token: set what gcloud prints, alone")
    if token:
        return Credentials(token)  # type: ignore[no-untyped-call]  # google-auth types it not
    try:
        credentials, _ = google.auth.default(scopes=[READ_ONLY])
    except OSError as error:
        if error.filename is None:
            raise  # not a file's: a connection's, which others judge
        raise StoreError(
            f"credentials file {error.filename}: {error.strerror}: make it readable for the service's user"
        ) from None
    return credentials


@contextmanager
def _google_faults() -> Iterator[None]:
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    try:
        with _connection_faults():
            yield
    except api.NotFound:
        raise Missing from None
    except (api.TooManyRequests, api.ServerError, auth.TransportError) as error:
        raise Transient(_one_line(error)) from None
    except (api.GoogleAPICallError, auth.GoogleAuthError) as error:
        raise AccessRefused(_one_line(error)) from None


class _WebObject:
    def __init__(self, uri: str) -> None:
        import requests

        self._uri = uri
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"

    def describe(self) -> Object:
        with _connection_faults():
            answer = self._session.head(self._uri, timeout=TIMEOUT_S, allow_redirects=True)
        _check_status(answer.status_code)
        headers = answer.headers
        length = headers.get("Content-Length", "")
        hashes = [part.strip() for part in headers.get("x-goog-hash", "").split(",")]
        crc32c = next((part[len("crc32c=") :] for part in hashes if part.startswith("crc32c=")), None)
        return Object(_version(headers), int(length) if length.isdigit() else None, crc32c)

    def download(self, described: Object, file: BinaryIO) -> None:
        with _connection_faults(), self._session.get(self._uri, timeout=TIMEOUT_S, stream=True) as answer:
            _check_status(answer.status_code)
            version = _version(answer.headers)
            if version and described.version and version != described.version:
                raise Corrupt("it was replaced meanwhile")
            for chunk in answer.iter_content(CHUNK_BYTES):
                file.write(chunk)

    def close(self) -> None:
        self._session.close()


def _version(headers: Mapping[str, str]) -> str:
    return headers.get("x-goog-generation") or headers.get("ETag") or headers.get("Last-Modified") or ""


def _check_status(status: int) -> None:
    if status in (404, 410):
        raise Missing
    if status == 429 or status >= 500:
        raise Transient(f"HTTP status {status}")
    if status >= 400:
        raise AccessRefused(f"HTTP status {status}")


@contextmanager
def _connection_faults() -> Iterator[None]:
    import requests
    import urllib3

    try:
        yield
    except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError) as error:
        raise Corrupt(f"the transfer ended early, {_one_line(error)}") from None
    except (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        urllib3.exceptions.HTTPError,
    ) as error:
        raise Transient(_one_line(error)) from None
    except requests.exceptions.InvalidHeader:  # this exception shows the whole header, which may be a secret
        raise AccessRefused("a header of the request is malformed") from None
    except requests.exceptions.RequestException as error:
        raise AccessRefused(_one_line(error)) from None


def _one_line(error: Exception) -> str:
    """Return the cause in one line; for a failed connection, the last reason without the retries."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return shown(" ".join(str(cause or error).split()))[:200] or type(error).__name__
