"""The download of a model: pulled from its address, verified, and kept for the next start."""

import base64
import hashlib
import logging
import os
import random
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from serving_core.errors import StoreError
from serving_core.models.addresses import beside, file_name, parse, shown
from serving_core.models.deadline import Deadline, TimeOver
from serving_core.models.limits import MOST_MODEL_BYTES, Bounded, LengthLimit
from serving_core.models.manifest import Manifest, read_manifest
from serving_core.models.sources import (
    CHUNK_BYTES,
    AccessRefused,
    Corrupt,
    Missing,
    Object,
    Source,
    Transient,
    open_source,
)

MANIFEST_NAME = "model.json"
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 4.0
# One or two damaged copies may be the network's fault; a third means that the object is damaged.
CORRUPT_ATTEMPTS = 3
LONGEST_NAME = 100
TEMPORARY_PREFIX = ".pull-"
# Twice the longest time that STORE_TIMEOUT_S lets a start take.
ABANDONED_AFTER_S = 7200

log = logging.getLogger("serving_core.models.store")


@dataclass(frozen=True, slots=True)
class Pulled:
    """A pulled file: its path, whether the store's checksum verified it, and whether the cache had it."""

    path: Path
    verified: bool
    cached: bool


@dataclass(frozen=True, slots=True)
class Model:
    """A model's verified file and its manifest."""

    path: Path
    manifest: Manifest
    cached: bool


MANIFEST_LIMIT = LengthLimit(
    16 * 1024**2, "the longest manifest", "give the address of the model's model.json"
)


def _model_limit(size_bytes: int) -> LengthLimit:
    return LengthLimit(size_bytes, "MAX_MODEL_BYTES", "correct the address, or raise the setting")


@dataclass(frozen=True, slots=True)
class _Order:
    """Where to keep a pulled file, and by when: `deadline` is `timeout_s` after the beginning."""

    cache_dir: Path
    timeout_s: float
    deadline: Deadline
    local_store: str | None
    limit: LengthLimit


def pull_model(
    uri: str,
    cache_dir: Path,
    timeout_s: float,
    local_store: str | None = None,
    *,
    manifest_uri: str | None = None,
    max_bytes: int = MOST_MODEL_BYTES,
) -> Model:
    """Pull the model at `uri` and its manifest, within `timeout_s` seconds in all.

    The manifest is model.json in the same folder, unless `manifest_uri` says otherwise. Raises StartError if
    the model or the manifest differs from what was published.
    """
    manifest_uri = manifest_uri or beside(uri, MANIFEST_NAME)
    where, where_manifest = shown(uri), shown(manifest_uri)
    order = _Order(cache_dir, timeout_s, Deadline.after(timeout_s), local_store, _model_limit(max_bytes))
    # the model first: if its address is wrong, the message must name that address
    pulled = _pull(uri, order)
    pulled_manifest = _pull(manifest_uri, replace(order, limit=MANIFEST_LIMIT))
    # a local file is used where it lies, and not checked yet
    MANIFEST_LIMIT.check(where_manifest, pulled_manifest.path.stat().st_size)
    manifest = read_manifest(pulled_manifest.path.read_bytes(), where_manifest)
    expected = manifest.sha256.get(file_name(uri))
    if expected is None and manifest.sha256:
        # another model's file, left there when this one was published: a store vouches for its bytes too
        raise StoreError(
            f"{where} is none of the files that {where_manifest} lists ({', '.join(manifest.sha256)}): "
            "give the address of one of them, or publish the model in this form"
        )
    if expected is None and not pulled.verified:
        raise StoreError(f"{where} cannot be verified: list its sha256 under files in {where_manifest}")
    if expected is not None and _sha256(pulled.path) != expected:
        raise StoreError(
            f"{where} is not the file that {where_manifest} lists (sha256 differs): publish both again"
        )
    return Model(pulled.path, manifest, pulled.cached and pulled_manifest.cached)


def pull(
    uri: str,
    cache_dir: Path,
    timeout_s: float,
    local_store: str | None = None,
    max_bytes: int = MOST_MODEL_BYTES,
) -> Pulled:
    """Download the object at `uri` into `cache_dir`, unless its present version is there.

    Takes at most `timeout_s` seconds and retries transient faults; raises StoreError, one line, for other
    faults. `local_store` is "bucket=http://host:port" if a stand-in serves the bucket.
    """
    deadline, limit = Deadline.after(timeout_s), _model_limit(max_bytes)
    return _pull(uri, _Order(cache_dir, timeout_s, deadline, local_store, limit))


def _pull(uri: str, order: _Order) -> Pulled:
    parts, where = parse(uri), shown(uri)
    if parts.scheme == "file":
        return _local(where, Path(unquote(parts.path)))
    try:
        with closing(order.deadline.run(lambda: open_source(uri, order.local_store))) as source:
            return _retrying(lambda: _pull_once(source, uri, order), order.deadline)
    except Missing:
        raise StoreError(f"{where} does not exist: publish the model or correct the address") from None
    except AccessRefused as error:
        raise StoreError(f"{where} may not be read ({error}): {error.remedy}") from None
    except Corrupt as error:
        raise StoreError(f"{where} arrived damaged ({error}): publish it again") from None
    except TimeOver:
        raise StoreError(
            f"{where} did not arrive within STORE_TIMEOUT_S={order.timeout_s:g}: "
            "raise it, or use a store that answers faster"
        ) from None
    except Transient as error:
        raise StoreError(
            f"{where} could not be reached for {order.timeout_s:g} s ({error}): "
            "check its address and that it is up"
        ) from None
    except OSError as error:
        raise StoreError(
            f"{where} cannot be kept in MODEL_CACHE_DIR={order.cache_dir} ({error.strerror or error}): "
            "make room or grant access"
        ) from None


def _retrying(attempt: Callable[[], Pulled], deadline: Deadline) -> Pulled:
    wait_s, corrupt = FIRST_WAIT_S, 0
    while True:
        try:
            return attempt()
        except Corrupt:
            corrupt += 1
            if corrupt >= CORRUPT_ATTEMPTS or wait_s > deadline.left_s():
                raise
        except Transient as error:
            log.debug("the store is not answering; trying again", extra={"fault": str(error)})
            if wait_s > deadline.left_s():
                raise
        time.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _pull_once(source: Source, uri: str, order: _Order) -> Pulled:
    described = order.deadline.run(source.describe)
    key = hashlib.sha256(f"{uri}\n{described.version}".encode()).hexdigest()[:32]
    path = order.cache_dir / f"{key}-{_kept_name(uri)}"
    verified = described.crc32c is not None
    if described.version and path.is_file() and _cached_fault(path, described) is None:
        return Pulled(path, verified, cached=True)
    order.limit.check(shown(uri), described.size_bytes or 0)
    order.cache_dir.mkdir(parents=True, exist_ok=True)
    _sweep(order.cache_dir)
    _download(source, described, path, order, shown(uri))
    return Pulled(path, verified, cached=False)


def _kept_name(uri: str) -> str:
    """Return a file's name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", file_name(uri))[-LONGEST_NAME:]


def _download(source: Source, described: Object, path: Path, order: _Order, where: str) -> None:
    """Download to a temporary file in the same folder, verify it, and only then give it its name."""
    handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            sink = Bounded(file, described.size_bytes, order.limit, where)
            order.deadline.run(lambda: source.download(described, sink))
            file.flush()
            os.fsync(file.fileno())
        fault = _fault(temporary, described)
        if fault is not None:
            raise Corrupt(fault)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(cache_dir: Path) -> None:
    """Remove the partial files of killed starts: files older than any start can take."""
    for left in cache_dir.glob(TEMPORARY_PREFIX + "*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > ABANDONED_AFTER_S:
                left.unlink()


def _cached_fault(path: Path, described: Object) -> str | None:
    try:
        return _fault(path, described)
    except OSError as error:
        return f"it cannot be read, {error.strerror}"


def _fault(path: Path, described: Object) -> str | None:
    """Return how the file differs from the object; None if it does not differ."""
    size = path.stat().st_size
    if described.size_bytes is not None and size != described.size_bytes:
        return f"{size} bytes of {described.size_bytes}"
    if size == 0:
        return "it is empty"
    if described.crc32c is not None and _crc32c(path) != described.crc32c:
        return "its crc32c differs"
    return None


def _crc32c(path: Path) -> str:
    # Imported here because a file:// model needs no checksum of a store.
    import google_crc32c

    checksum: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]  # untyped there
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            checksum.update(chunk)
    return base64.b64encode(checksum.digest()).decode()


def _local(uri: str, path: Path) -> Pulled:
    try:
        if path.is_dir():
            raise StoreError(f"{uri} is a folder: give the address of the model's file in it")
        if path.stat().st_size == 0:
            raise StoreError(f"{uri} is empty: publish it again")
        with path.open("rb"):
            return Pulled(path, verified=False, cached=True)
    except FileNotFoundError:
        raise StoreError(f"{uri} does not exist: correct the address or create the file") from None
    except ValueError:  # a character that paths cannot have
        raise StoreError(f"{uri} is malformed: give file:///path") from None
    except OSError as error:
        raise StoreError(
            f"{uri} cannot be read ({error.strerror}): grant this service's user read access"
        ) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
