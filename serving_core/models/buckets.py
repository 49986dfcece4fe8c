"""Objects in Google Cloud Storage or in its stand-in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import google.auth
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.oauth2.credentials import Credentials

from serving_core.errors import StoreError
from serving_core.models.connections import Adapter, connection_faults, one_line
from serving_core.models.sources import TIMEOUT_S, AccessRefused, Missing, Object, Sink, Transient

READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"


class BucketObject:
    """An object in a bucket; at `endpoint`, if a stand-in holds the bucket."""

    def __init__(self, bucket: str, name: str, endpoint: str | None) -> None:
        near = bool(endpoint or os.environ.get("STORAGE_EMULATOR_HOST"))
        with _google_faults():
            # A read names its bucket, so it needs no project.
            self._client = storage.Client(
                project="unused",
                credentials=AnonymousCredentials() if near else credentials(),  # type: ignore[no-untyped-call]  # google-auth types it not
                client_options={"api_endpoint": endpoint} if endpoint else None,
            )
            for scheme in ("https://", "http://"):
                # no proxy stands before a stand-in
                self._client._http.mount(scheme, Adapter(direct=near))
        self._bucket = self._client.bucket(bucket)
        self._name = name

    def describe(self) -> Object:
        """Ask for the object's metadata."""
        blob = self._bucket.blob(self._name)
        with _google_faults():
            blob.reload(retry=None, timeout=TIMEOUT_S)
        if blob.content_encoding not in (None, "", "identity"):
            raise AccessRefused(
                f"it is stored with Content-Encoding {blob.content_encoding}",
                "publish it without an encoding",
            )
        return Object(str(blob.generation), blob.size, blob.crc32c)

    def download(self, described: Object, sink: Sink) -> None:
        """Stream the object as it is stored."""
        # The checksum reveals another version; a request for the described generation would call it missing.
        del described
        # A described blob would be fetched from the address in its metadata, where the store believes that it
        # can be reached; a new blob is fetched from the address at which we reach the store.
        blob = self._bucket.blob(self._name)
        with _google_faults():
            # The caller verifies against the metadata, which works even if a response carries no checksum.
            blob.download_to_file(sink, retry=None, timeout=TIMEOUT_S, checksum=None, raw_download=True)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()


def credentials() -> Any:
    """Return the environment's token or its default credentials; raises StoreError if they cannot be used."""
    token = os.environ.get("CLOUDSDK_AUTH_ACCESS_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise StoreError("CLOUDSDK_AUTH_ACCESS_TOKEN is not an access token: set what gcloud prints, alone")
    if token:
        return Credentials(token)  # type: ignore[no-untyped-call]  # google-auth types it not
    try:
        found, _ = google.auth.default(scopes=[READ_ONLY])
    except OSError as error:
        if error.filename is None:
            raise  # not a file's: a connection's, which others judge
        raise StoreError(
            f"credentials file {error.filename}: {error.strerror}: make it readable for the service's user"
        ) from None
    return found


@contextmanager
def _google_faults() -> Iterator[None]:
    try:
        with connection_faults():
            yield
    except api.NotFound:
        raise Missing from None
    except (api.TooManyRequests, api.ServerError, auth.TransportError) as error:
        raise Transient(one_line(error)) from None
    except (api.GoogleAPICallError, auth.GoogleAuthError) as error:
        raise AccessRefused(one_line(error)) from None
