"""A request set's manifest with other expectations, written in one step: nothing is lost if it fails."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.model.expectations import Expectation, LabelExpectation
from bench.request_sets.manifest import MANIFEST, SetManifest, manifest_to_json
from bench.request_sets.reader import read_set_text
from bench.run_file.json_text import MOST_BYTES, file_bytes, json_from


def read_manifest(folder: Path) -> SetManifest:
    """The manifest of a set that can be read; raises UsageError if it is of the older form."""
    try:
        return msgspec.convert(json_from(file_bytes(folder / MANIFEST)), SetManifest)
    except msgspec.ValidationError:
        raise UsageError(
            f"{folder.name}/{MANIFEST} is of the older form, which nothing is recorded into: make the set "
            "anew with `python -m modelkit images`"
        ) from None


def with_expectations(manifest: SetManifest, expected: Mapping[str, Expectation]) -> SetManifest:
    """The manifest with what must come back for each request, by its name; what it shows stays."""
    requests = tuple(
        msgspec.structs.replace(one, expect=_with_truth(expected[one.name], one.expect))
        for one in manifest.requests
    )
    return msgspec.structs.replace(manifest, requests=requests)


def _with_truth(expect: Expectation, before: Expectation) -> Expectation:
    """The expectation with the true class that stood there before, which no answer can tell."""
    if isinstance(expect, LabelExpectation) and isinstance(before, LabelExpectation):
        return msgspec.structs.replace(expect, truth=before.truth)
    return expect


def rewrite(manifest: SetManifest, folder: Path) -> None:
    """Replace the folder's manifest; raises UsageError if it may not, or if it could not be read again."""
    text = manifest_to_json(manifest)
    if len(text) > MOST_BYTES:
        raise UsageError(
            f"what must come back takes {len(text)} bytes, more than a manifest's {MOST_BYTES}: record fewer "
            "requests, or --compare bytes"
        )
    read_set_text(folder, text)
    fresh = folder / f".{MANIFEST}.{os.getpid()}"
    try:
        with fresh.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / MANIFEST)
    except PermissionError as error:
        raise UsageError(
            f"{folder.name}/ cannot be written ({error.strerror}): see that you may write there"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)
