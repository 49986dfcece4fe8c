"""Publication: optimise for this host, check the answers, upload to Google Cloud Storage or its stand-in."""

import base64
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

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
from modelkit.graph import check_graph, open_graph, optimise
from modelkit.manifest import (
    GRAPH_FILE,
    GRAPH_WEIGHTS_KEY,
    MANIFEST_FILE,
    WEIGHTS_FILE,
    file_entry,
    read_json,
    write_json,
)

_RETRY_FOR_S = 60.0
_REQUEST_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Destination:
    """A place in a bucket."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, uri: str) -> "Destination":
        """Return the destination gs://bucket/prefix; raises ModelkitUsageError for any other text."""
        parts = urlsplit(uri)
        if parts.scheme != "gs" or not parts.netloc:
            raise ModelkitUsageError(f"{uri} is not a destination: give gs://BUCKET/PREFIX")
        return cls(parts.netloc, parts.path.strip("/"))

    def object_name(self, file: str) -> str:
        """Return the object's name for a file."""
        return f"{self.prefix}/{file}" if self.prefix else file

    def uri(self, file: str) -> str:
        """Return the object's URI for a file."""
        return f"gs://{self.bucket}/{self.object_name(file)}"


def publish(model_dir: Path, images: Path, graph: Path, to: str, retry_for_s: float = _RETRY_FOR_S) -> None:
    """Optimise the graph for this host, check it against the image set, upload the model's three files.

    The manifest is uploaded last: if it exists, the other files exist. Raises ModelkitError, one line with
    the remedy.
    """
    destination = Destination.parse(to)
    weights, content = model_dir / WEIGHTS_FILE, read_json(model_dir / MANIFEST_FILE)
    _check_weights(weights, content)
    if not graph.exists():
        _export(model_dir, images, graph, "does not exist")
    elif _is_stale(graph, weights):
        _export(model_dir, images, graph, "was exported from other weights")
    with tempfile.TemporaryDirectory() as folder:
        optimised, manifest = Path(folder) / GRAPH_FILE, Path(folder) / MANIFEST_FILE
        optimise(graph, optimised)
        print(f"optimised for this host: {check_graph(optimised, images, model_dir)}", flush=True)
        write_json(manifest, content | {"files": content["files"] | {GRAPH_FILE: file_entry(optimised)}})
        _upload_all([weights, optimised, manifest], destination, retry_for_s)


def _is_stale(graph: Path, weights: Path) -> bool:
    """Tell whether the graph says that it was exported from other weights than these."""
    stated = open_graph(graph).get_modelmeta().custom_metadata_map.get(GRAPH_WEIGHTS_KEY)
    return stated is not None and stated != file_entry(weights)["sha256"]


def _export(model_dir: Path, images: Path, graph: Path, why: str) -> None:
    if find_spec("torch") is None:
        problem = f"{graph} {why} and there is no PyTorch here to export it"
        raise ModelkitError(f"{problem}: run python -m modelkit export --output {graph} where PyTorch is")
    from modelkit.export import export

    export(model_dir, images, graph)


def _check_weights(weights: Path, manifest: Mapping[str, Mapping[str, object]]) -> None:
    if not weights.is_file():
        raise ModelkitError(f"{weights} does not exist: train first, python -m modelkit train")
    if manifest.get("files", {}).get(WEIGHTS_FILE) != file_entry(weights):
        raise ModelkitError(f"{weights} is not the file that its manifest describes: restore or retrain both")


def _upload_all(files: list[Path], destination: Destination, retry_for_s: float) -> None:
    retry = DEFAULT_RETRY.with_timeout(retry_for_s).with_delay(initial=0.25, maximum=5.0)
    file = files[0]
    try:
        bucket = _bucket(_client(), destination.bucket, retry)
        for file in files:
            _upload(bucket, file, destination, retry)
    except google.auth.exceptions.GoogleAuthError as error:
        _fail(
            destination.uri(file.name),
            error,
            "set application default credentials, CLOUDSDK_AUTH_ACCESS_TOKEN or STORAGE_EMULATOR_HOST",
        )
    except (api_errors.Forbidden, api_errors.Unauthorized) as error:
        _fail(
            destination.uri(file.name), error, "grant these credentials storage.objects.create and .get there"
        )
    except api_errors.NotFound as error:
        _fail(destination.uri(file.name), error, f"create the bucket {destination.bucket} first")
    except (api_errors.GoogleAPIError, requests.RequestException, OSError) as error:
        _fail(
            destination.uri(file.name), error, "see that the store is up and STORAGE_EMULATOR_HOST is right"
        )


def _fail(uri: str, error: Exception, remedy: str) -> None:
    cause = " ".join(str(error).split())[:200] or type(error).__name__
    raise ModelkitError(f"{uri} could not be published ({cause}): {remedy}") from None


def _client() -> storage.Client:
    """Return a client for the emulator, for a given token, or with application default credentials."""
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        # google-auth does not type its constructors
        nobody = google.auth.credentials.AnonymousCredentials()  # type: ignore[no-untyped-call]
        return storage.Client(project="local", credentials=nobody)
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


def _upload(bucket: storage.Bucket, file: Path, destination: Destination, retry: Retry) -> None:
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


def _matches(blob: storage.Blob, file: Path, checksum: str) -> bool:
    return bool(blob.size == file.stat().st_size and blob.crc32c == checksum)


def _crc32c(file: Path) -> str:
    """Return the file's CRC32C in the store's form: base64 of four big-endian bytes."""
    return base64.b64encode(google_crc32c.value(file.read_bytes()).to_bytes(4, "big")).decode("ascii")
