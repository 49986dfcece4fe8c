"""An image set of the older form is read with checks: its names go into files, tables and terminals."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from bench.model.expectations import LabelExpectation
from bench.request_sets.reader import read_request_set

ENTRY = {"file": "a.jpg", "kind": "small", "expected": {"label": "rain", "probabilities": [0.9, 0.1]}}


RIGHT = LabelExpectation("rain", {"rain": 0.9, "snow": 0.1})


def images(folder: Path, **changes: Any) -> Path:
    entry = {**ENTRY, **changes}
    (folder / "a.jpg").write_bytes(b"picture")
    (folder / "manifest.json").write_text(json.dumps({"labels": ["rain", "snow"], "images": [entry]}))
    return folder


def test_an_ordinary_set_is_read(tmp_path: Path) -> None:
    found = read_request_set(images(tmp_path))
    (only,) = found.requests
    assert (only.request_class, only.expect, only.picture) == ("small", RIGHT, b"picture")
    assert found.classes == ("small",)


@pytest.mark.parametrize("kind", ["a|b", "../a", "", "a b", "$x$", "a\x1b", 7, None])
def test_a_class_is_a_plain_name(tmp_path: Path, kind: object) -> None:
    with pytest.raises(UsageError, match=r"manifest\.json is not usable") as refused:
        read_request_set(images(tmp_path, kind=kind))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("file", ["../secret", "/etc/hostname", "a\nb", "", 7])
def test_a_file_lies_beside_the_manifest(tmp_path: Path, file: object) -> None:
    with pytest.raises(UsageError, match=r"manifest\.json is not usable"):
        read_request_set(images(tmp_path, file=file))


def test_a_manifest_that_is_nested_without_end_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match=r"manifest\.json is not usable"):
        read_request_set(tmp_path)


@pytest.mark.parametrize("file", ["manifest.json", "a.jpg"])
def test_a_folder_or_a_pipe_in_place_of_a_file_is_one_line(tmp_path: Path, file: str) -> None:
    images(tmp_path)
    for make in (Path.mkdir, os.mkfifo):
        (tmp_path / file).unlink() if (tmp_path / file).is_file() else (tmp_path / file).rmdir()
        make(tmp_path / file)
        with pytest.raises(UsageError, match=r"cannot be read \(.*\): make a set"):
            read_request_set(tmp_path)
