"""Image sizes are summed over layers by ourselves, the same whatever the store calls them."""

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bench.measure.image_size import gzip_size, measure_image, shorten, survey

MIXED = b"".join(os.urandom(2000) + bytes(6000) for _ in range(1500))


def in_blocks(content: bytes, size: int = 1_000_000) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def test_the_compressed_size_is_what_gzip_would_make() -> None:
    assert gzip_size(in_blocks(MIXED)) == pytest.approx(len(gzip.compress(MIXED, 6)), rel=0.005)


def test_a_layer_that_a_store_keeps_compressed_counts_as_it_is() -> None:
    packed = gzip.compress(MIXED)
    assert gzip_size(in_blocks(packed)) == len(packed)


def test_nothing_is_nearly_nothing() -> None:
    assert gzip_size([]) < 40


def saved_image(layers: dict[str, bytes], history: list[dict[str, Any]]) -> io.BytesIO:
    """A `docker save` stream with the layers by digest, lowest first."""
    documents = {f"blobs/sha256/{digest.partition(':')[2]}": content for digest, content in layers.items()}
    documents["blobs/sha256/cf"] = json.dumps({"history": history}).encode()
    paths = [f"blobs/sha256/{digest.partition(':')[2]}" for digest in layers]
    documents["manifest.json"] = json.dumps([{"Config": "blobs/sha256/cf", "Layers": paths}]).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in documents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


HISTORY = [
    {"created_by": "/bin/sh -c #(nop) ADD file:abc in / "},
    {"created_by": "ENV A=b", "empty_layer": True},
    {"created_by": "RUN /bin/sh -c pip install things # buildkit"},
]


def test_layers_are_joined_with_the_steps_that_made_them() -> None:
    stream = saved_image({"sha256:aa": MIXED, "sha256:bb": MIXED[:9000]}, HISTORY)
    found = survey(stream, ["sha256:aa", "sha256:bb"], {"sha256:aa", "sha256:bb"}, [111, 0, 22])
    assert [layer.created_by for layer in found.values()] == ["ADD file:abc in /", "RUN pip install things"]
    assert [layer.unpacked_bytes for layer in found.values()] == [111, 22]
    assert found["sha256:bb"].compressed_bytes == pytest.approx(len(gzip.compress(MIXED[:9000], 6)), abs=40)


class FakeEngine:
    """An engine with one image, which counts how often it is saved."""

    def __init__(self) -> None:
        self.images = self
        self.saved = 0
        self.tags = ["thing:latest"]
        self.attrs = {"RootFS": {"Layers": ["sha256:aa", "sha256:bb"]}}

    def get(self, image_id: str) -> "FakeEngine":
        assert image_id == "sha256:1"
        return self

    def history(self) -> list[dict[str, int]]:
        return [{"Size": 22}, {"Size": 0}, {"Size": 111}]

    def save(self, chunk_size: int) -> list[bytes]:
        self.saved += 1
        stream = saved_image({"sha256:aa": MIXED, "sha256:bb": MIXED[:9000]}, HISTORY)
        return in_blocks(stream.read(), min(chunk_size, 777_777))


class Silent:
    """A progress that nobody looks at."""

    def note(self, text: str) -> None: ...
    def begin(self, total_s: float) -> None: ...
    def step(self, text: str, done: int, total: int, left_s: float) -> None: ...
    def live(self, text: str) -> None: ...


def test_an_image_is_compressed_once_and_its_layers_remembered(tmp_path: Path) -> None:
    engine, cache = FakeEngine(), tmp_path / ".cache" / "layers.json"
    first = measure_image(engine, "sha256:1", cache, Silent())
    again = measure_image(engine, "sha256:1", cache, Silent())
    assert engine.saved == 1
    assert first == again
    assert first.unpacked_bytes == 133
    assert first.compressed_bytes == sum(layer.compressed_bytes or 0 for layer in first.layers)
    assert len(first.layers) == 2


def test_a_spoiled_cache_is_made_anew(tmp_path: Path) -> None:
    cache = tmp_path / "layers.json"
    cache.write_text("{broken")
    assert measure_image(FakeEngine(), "sha256:1", cache, Silent()).unpacked_bytes == 133


def test_history_lines_are_shortened_for_reading() -> None:
    assert shorten("RUN /bin/sh -c  make   it # buildkit") == "RUN make it"
    assert len(shorten("RUN " + "x" * 500)) == 60


@pytest.mark.parametrize("packed", [False, True])
def test_a_layer_without_a_step_of_history_is_as_long_as_its_tar(packed: bool) -> None:
    content = gzip.compress(MIXED) if packed else MIXED
    found = survey(saved_image({"sha256:aa": content}, HISTORY), ["sha256:aa"], {"sha256:aa"}, [111])
    assert found["sha256:aa"].unpacked_bytes == len(MIXED)


def test_a_cache_that_cannot_be_kept_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = tmp_path / "file" / "layers.json"
    assert measure_image(FakeEngine(), "sha256:1", cache, Silent()).unpacked_bytes == 133
