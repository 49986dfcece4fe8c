"""Where a model is published: a folder, or a place in a bucket of Google Cloud Storage or its stand-in."""

import base64
import json
import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import google.auth.credentials
import google.auth.exceptions
import google.oauth2.credentials
import google_crc32c
import requests
from google.api_core import exceptions as api_errors
from google.api_core.retry import Retry
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY

from modelkit import ModelkitError, ModelkitUsageError
from modelkit.manifest import FORM_FILES, GRAPH_FILE, MANIFEST_FILE, NETWORK_FILE, read_json

RETRY_FOR_S = 60.0
_REQUEST_TIMEOUT_S = 20.0
_READABLE_BY_ALL = 0o644


class Destination(ABC):
    """A place for a model's files."""

    @staticmethod
    def parse(text: str) -> "Destination":
        """Return the place that a folder's path, a file:// address or gs://BUCKET/PREFIX names.

        Raises ModelkitUsageError for any other text.
        """
        parts = urlsplit(text)
        if parts.scheme == "gs" and parts.netloc:
            return BucketDestination(parts.netloc, parts.path.strip("/"))
        if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
            return FolderDestination(Path(unquote(parts.path)))
        if not parts.scheme and text:
            return FolderDestination(Path(text))
        raise ModelkitUsageError(
            f"{text} is not a destination: give a folder, file:///FOLDER or gs://BUCKET/PREFIX"
        )

    @abstractmethod
    def uri(self, file: str) -> str:
        """Return the address of a file there."""

    @abstractmethod
    def check(self, name: str, source: Path | None = None, retry_for_s: float = RETRY_FOR_S) -> None:
        """Raise ModelkitError, before any work, if the model `name` may not be written there.

        It may not if another model is there. `source` is the file from which the model is made, which is
        never replaced.
        """

    @abstractmethod
    def put(self, files: list[Path], retry_for_s: float = RETRY_FOR_S) -> None:
        """Write the files there in their order, and print a line for each.

        The manifest is given last: if it exists, the other files exist. Forms that were there before and are
        not among the files are named on standard error. Raises ModelkitError, one line with the remedy.
        """

    def _name_left(self, files: list[Path], exists: Callable[[str], bool]) -> None:
        written = {file.name for file in files}
        for form in FORM_FILES:
            if form not in written and exists(form):
                print(
                    f"{self.uri(form)} is of an earlier publication, and no service loads it: remove it",
                    file=sys.stderr,
                )


@dataclass(frozen=True, slots=True)
class FolderDestination(Destination):
    """A folder of this host; it is made if it is missing."""

    folder: Path

    def uri(self, file: str) -> str:
        """Return the file's path."""
        return str(self.folder / file)

    def check(
        self,
        name: str,
        source: Path | None = None,
        retry_for_s: float = RETRY_FOR_S,  # noqa: ARG002 - a store's
    ) -> None:
        """Raise ModelkitError if the folder cannot be written, or holds files that are not this model's."""
        nearest = self.folder
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise ModelkitError(f"{self.folder} cannot be written: name a folder that this user may write")
        made, manifest = (self.folder / GRAPH_FILE, self.folder / NETWORK_FILE), self.folder / MANIFEST_FILE
        if source is not None and any(_is_same(graph, source) for graph in made):
            raise ModelkitError(
                f"{source} would be replaced by the graph that is made of it: name another folder"
            )
        if manifest.is_file():
            _check_name(str(self.folder), manifest.name, read_json(manifest), name)
            return
        for form in FORM_FILES:
            file = self.folder / form
            if file.exists() and not (source is not None and _is_same(file, source)):
                problem = f"{file} is there already, and no manifest lists it"
                raise ModelkitError(f"{problem}: name another folder, or move it away")

    def put(self, files: list[Path], retry_for_s: float = RETRY_FOR_S) -> None:  # noqa: ARG002 - a store's
        """Copy the files there, each in one step; a file that has the same bytes stays as it is."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for file in files:
                self._copy(file)
            self._name_left(files, lambda form: (self.folder / form).exists())
        except OSError as error:
            problem = f"{self.folder} could not be written ({error.strerror or error})"
            raise ModelkitError(f"{problem}: name a folder that this user may write") from None

    def _copy(self, file: Path) -> None:
        target = self.folder / file.name
        if target.is_file() and target.read_bytes() == file.read_bytes():
            print(f"{target} is up to date", flush=True)
            return
        made = self.folder / f".{file.name}.{uuid4().hex}"
        try:
            shutil.copyfile(file, made)
            made.chmod(_READABLE_BY_ALL)
            made.replace(target)
        finally:
            made.unlink(missing_ok=True)
        print(f"{target} written, {target.stat().st_size} bytes", flush=True)


def _is_same(target: Path, source: Path) -> bool:
    return target.exists() and source.exists() and target.samefile(source)


def _check_name(place: str, manifest: str, content: Any, name: str) -> None:
    """Raise ModelkitError if the manifest that a place holds is another model's."""
    there = content.get("name") if isinstance(content, dict) else None
    if not isinstance(there, str):
        raise ModelkitError(f"{place} holds a {manifest} that names no model: name another place")
    if there != name:
        problem = f"{place} holds the model {there}"
        raise ModelkitError(f"{problem}: name another place, or empty it, or give the model the name {there}")


@dataclass(frozen=True, slots=True)
class BucketDestination(Destination):
    """A place in a bucket."""

    bucket: str
    prefix: str

    def object_name(self, file: str) -> str:
        """Return the object's name for a file."""
        return f"{self.prefix}/{file}" if self.prefix else file

    def uri(self, file: str) -> str:
        """Return the object's URI for a file."""
        return f"gs://{self.bucket}/{self.object_name(file)}"

    def check(
        self,
        name: str,
        source: Path | None = None,  # noqa: ARG002 - a folder's
        retry_for_s: float = RETRY_FOR_S,
    ) -> None:
        """Raise ModelkitError if another model is there, or if the store does not answer."""
        retry = _retry(retry_for_s)
        with self._in_words(MANIFEST_FILE):
            bucket = _client().bucket(self.bucket)
            blob = bucket.get_blob(self.object_name(MANIFEST_FILE), timeout=_REQUEST_TIMEOUT_S, retry=retry)
            content = (
                None if blob is None else blob.download_as_bytes(timeout=_REQUEST_TIMEOUT_S, retry=retry)
            )
        if content is not None:
            place = self.uri("").rstrip("/")
            _check_name(place, MANIFEST_FILE, _json(content), name)

    def put(self, files: list[Path], retry_for_s: float = RETRY_FOR_S) -> None:
        """Upload the files; each must have the store's checksum afterwards."""
        retry = _retry(retry_for_s)
        with self._in_words(files[0].name):
            bucket = _bucket(_client(), self.bucket, retry)
        for file in files:
            with self._in_words(file.name):
                _upload(bucket, file, self, retry)
        with self._in_words(files[-1].name):
            self._name_left(files, lambda form: _is_there(bucket, self.object_name(form), retry))

    @contextmanager
    def _in_words(self, file: str) -> Iterator[None]:
        """Turn what the store's library raises into ModelkitError, with the address of this file."""
        try:
            yield
        except google.auth.exceptions.GoogleAuthError as error:
            remedy = (
                "set application default credentials, CLOUDSDK_AUTH_ACCESS_TOKEN or STORAGE_EMULATOR_HOST"
            )
            _fail(self.uri(file), error, remedy)
        except (api_errors.Forbidden, api_errors.Unauthorized) as error:
            _fail(self.uri(file), error, "grant these credentials storage.objects.create and .get there")
        except api_errors.NotFound as error:
            _fail(self.uri(file), error, f"create the bucket {self.bucket} first")
        except (api_errors.GoogleAPIError, requests.RequestException, OSError) as error:
            _fail(self.uri(file), error, "see that the store is up and STORAGE_EMULATOR_HOST is right")


def _retry(retry_for_s: float) -> Retry:
    retry: Retry = DEFAULT_RETRY.with_timeout(retry_for_s).with_delay(initial=0.25, maximum=5.0)
    return retry


def _json(content: bytes) -> Any:
    """Return the parsed text, None if it is not JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def _fail(uri: str, error: Exception, remedy: str) -> None:
    cause = " ".join(str(error).split())[:200] or type(error).__name__
    raise ModelkitError(f"{uri} could not be published ({cause}): {remedy}") from None


def _client() -> storage.Client:
    """Return a client for the emulator, for a given token, or with application default credentials."""
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        # google-auth does not type its constructors
        nobody = google.auth.credentials.AnonymousCredentials()  # type: ignore[no-untyped-call]
        client = storage.Client(project="local", credentials=nobody)
        # no proxy stands before a stand-in
        client._http.trust_env = False
        return client
    token = os.environ.get("CLOUDSDK_AUTH_ACCESS_TOKEN")
    project = os.environ.get("GOOGLE_CLOUD_PROJECT")
    if token:
        # as above
        credentials = google.oauth2.credentials.Credentials(token)  # type: ignore[no-untyped-call]
        return storage.Client(project=project or "none", credentials=credentials)
    return storage.Client(project=project) if project else storage.Client()


def _bucket(client: storage.Client, name: str, retry: Retry) -> storage.Bucket:
    """Return the bucket; create it if it is missing in the emulator."""
    bucket = client.bucket(name)
    if not os.environ.get("STORAGE_EMULATOR_HOST"):
        return bucket
    if client.lookup_bucket(name, timeout=_REQUEST_TIMEOUT_S, retry=retry) is None:
        try:
            client.create_bucket(name, timeout=_REQUEST_TIMEOUT_S, retry=retry)
        except api_errors.Conflict:
            return bucket  # another publisher created it first
    return bucket


def _upload(bucket: storage.Bucket, file: Path, destination: BucketDestination, retry: Retry) -> None:
    """Upload a file unless the store has the same bytes; the store's checksum must equal the file's."""
    uri, checksum = destination.uri(file.name), _crc32c(file)
    present = bucket.get_blob(destination.object_name(file.name), timeout=_REQUEST_TIMEOUT_S, retry=retry)
    if present is not None and _matches(present, file, checksum):
        print(f"{uri} is up to date", flush=True)
        return
    blob = bucket.blob(destination.object_name(file.name))
    blob.upload_from_filename(str(file), checksum="crc32c", timeout=_REQUEST_TIMEOUT_S, retry=retry)
    blob.reload(timeout=_REQUEST_TIMEOUT_S, retry=retry)
    if not _matches(blob, file, checksum):
        raise ModelkitError(f"{uri} does not hold what was sent: publish again, and check the network")
    print(f"{uri} uploaded, {file.stat().st_size} bytes, crc32c {checksum}", flush=True)


def _is_there(bucket: storage.Bucket, name: str, retry: Retry) -> bool:
    return bucket.get_blob(name, timeout=_REQUEST_TIMEOUT_S, retry=retry) is not None


def _matches(blob: storage.Blob, file: Path, checksum: str) -> bool:
    return bool(blob.size == file.stat().st_size and blob.crc32c == checksum)


def _crc32c(file: Path) -> str:
    """Return the file's CRC32C in the store's form: base64 of four big-endian bytes."""
    return base64.b64encode(google_crc32c.value(file.read_bytes()).to_bytes(4, "big")).decode("ascii")
