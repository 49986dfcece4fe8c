"""Image sizes are summed over layers by ourselves, the same whatever the store calls them."""

import gzip
import io
import json
import os
import re
import tarfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from bench.measure.progress import Silent
from bench.measure.runtime.image_size import ChunkedFile, Survey, gzip_size, measure_image, shorten, survey

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
    found = survey(stream, ["sha256:aa", "sha256:bb"], {"sha256:aa", "sha256:bb"}, [111, 0, 22]).layers
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


def tarred(*members: str) -> bytes:
    """An archive of what each word says: folder/, file=bytes, name->hard link, name~>symbolic link."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for text in members:
            path, sign, rest = re.fullmatch(r"(.+?)(=|->|~>|$)(.*)", text).groups()  # type: ignore[union-attr]
            member = tarfile.TarInfo(path.rstrip("/"))
            member.type = {
                "": tarfile.DIRTYPE,
                "=": tarfile.REGTYPE,
                "->": tarfile.LNKTYPE,
                "~>": tarfile.SYMTYPE,
            }[sign]
            member.linkname = rest if ">" in sign else ""
            member.size = int(rest) if sign == "=" else 0
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return content.getvalue()


def files_of(*layers: bytes) -> tuple[dict[str, int], int | None]:
    """What a survey says of an image of these layers: bytes by directory, and bytes wasted."""
    digests = {f"sha256:{number:02d}": layer for number, layer in enumerate(layers)}
    found = survey(saved_image(digests, []), list(digests), set(), [])
    assert found.layers == {}, "nothing was asked for, so nothing is compressed"
    return {one.path: one.unpacked_bytes for one in found.directories}, found.wasted_bytes


def test_files_are_counted_under_their_package_or_a_directory_of_some_depth() -> None:
    site, dist = "opt/venv/lib/python3.11/site-packages", "usr/lib/python3/dist-packages"
    found, wasted = files_of(
        tarred(
            "app/",
            "app/one.py=10",
            "./app/serving/engine.py=20",
            "app/serving/deep/er/still.py=5",
            "init=1",
            "usr/lib/x86_64-linux-gnu/libc.so.6=300",
            "usr/local/lib/python3.11/os.py=7",
            "usr/bin/sh=40",
            "bin~>usr/bin",
        ),
        tarred(
            f"{site}/torch/lib/libtorch.so=1000",
            f"{site}/torch-2.13.0.dist-info/RECORD=50",
            f"{site}/torch.libs/libgomp.so=8",
            f"{site}/alone.py=3",
            f"{site}/alone-1.0.dist-info/RECORD=2",
            f"{dist}/apt/cache.py=9",
        ),
    )
    assert found == {
        "site-packages/torch": 1058,
        "usr/lib/x86_64-linux-gnu": 300,
        "usr/bin": 40,
        "app/serving": 25,
        "app": 10,
        "dist-packages/apt": 9,
        "usr/local/lib/python3.11": 7,
        "site-packages": 3,
        "site-packages/alone-1.0.dist-info": 2,
        "/": 1,
    }
    assert wasted == 0


def test_only_the_ten_largest_directories_are_kept() -> None:
    found, _ = files_of(tarred(*(f"data/{number}/x={number}" for number in range(1, 15))))
    assert found == {f"data/{number}": number for number in range(14, 4, -1)}


LOWEST = tarred("a/", "a/x=100", "a/y=10", "a/deep/z=1", "b/one=1000", "b/two->b/one", "c/x=7")


@pytest.mark.parametrize(
    ("upper", "left", "wasted"),
    [
        (("a/x=30",), {"b": 1000, "a": 40, "c": 7, "a/deep": 1}, 100),
        (("a/.wh.x=0",), {"b": 1000, "a": 10, "c": 7, "a/deep": 1}, 100),
        # a folder that is there already is the same folder
        (("a/", "c/"), {"b": 1000, "a": 110, "c": 7, "a/deep": 1}, 0),
        ((".wh.a=0",), {"b": 1000, "c": 7}, 111),
        # what the same layer puts beside a whiteout stays, whichever comes first
        (("a/new=5", "a/.wh..wh..opq=0"), {"b": 1000, "c": 7, "a": 5}, 111),
        (("a=4",), {"b": 1000, "c": 7, "/": 4}, 111),
        (("c/x/", "c/x/in=3"), {"b": 1000, "a": 110, "c/x": 3, "a/deep": 1}, 7),
        (("c/x/in=3",), {"b": 1000, "a": 110, "c/x": 3, "a/deep": 1}, 7),
        # a content with two names is wasted when the second is gone
        (("b/.wh.one=0",), {"b": 1000, "a": 110, "c": 7, "a/deep": 1}, 0),
        (("b/.wh.one=0", "b/.wh.two=0"), {"a": 110, "c": 7, "a/deep": 1}, 1000),
        (
            ("a/.wh.never=0", "nowhere/.wh.x=0", "c/x/.wh..wh..opq=0"),
            {"b": 1000, "a": 110, "c": 7, "a/deep": 1},
            0,
        ),
    ],
)
def test_what_a_later_layer_replaces_or_removes_is_wasted(
    upper: tuple[str, ...], left: dict[str, int], wasted: int
) -> None:
    assert files_of(LOWEST, tarred(*upper)) == (left, wasted)


def test_each_of_several_replacements_is_wasted() -> None:
    assert files_of(tarred("a/x=1"), tarred("a/x=10"), tarred(), tarred("a/x=100"), tarred("a/.wh.x=0")) == (
        {},
        111,
    )


def test_layers_that_a_store_keeps_compressed_tell_their_files_too() -> None:
    assert files_of(gzip.compress(LOWEST), tarred("a/x=30"))[1] == 100
    # pieces that are compressed one by one, as lazily pulled layers are
    pieces = gzip.compress(LOWEST[:700]) + gzip.compress(LOWEST[700:])
    assert files_of(pieces, tarred("a/x=30"))[1] == 100


@pytest.mark.parametrize(
    "layer", [MIXED[:9000], b"\x28\xb5\x2f\xfd" + MIXED[:900], gzip.compress(LOWEST)[:-50]]
)
def test_a_layer_whose_files_cannot_be_read_leaves_them_unknown(layer: bytes) -> None:
    assert files_of(LOWEST, layer) == ({}, None)


def test_an_image_whose_layers_are_known_is_read_for_its_files_and_not_compressed(tmp_path: Path) -> None:
    cache, engine, told = tmp_path / "layers.json", FakeEngine(), Told()
    first = measure_image(engine, "sha256:1", cache, told)
    (tmp_path / "images.json").unlink()
    assert measure_image(engine, "sha256:1", cache, told) == first
    assert (engine.saved, len(told.texts)) == (2, 1)


EMPTY = bytes(1024)


class StackedEngine(FakeEngine):
    """An engine whose one image is these (digest, path, content) from the lowest up, each path saved once."""

    def __init__(self, *stack: tuple[str, str, bytes], linked: bool = False) -> None:
        super().__init__()
        self._stack, self._linked = stack, linked
        self.attrs = {"RootFS": {"Layers": [digest for digest, _, _ in stack]}}

    def history(self) -> list[dict[str, int]]:
        return [{"Size": 1_000_000} for _ in self._stack]

    def save(self, chunk_size: int) -> list[bytes]:
        config = {"history": [{"created_by": "COPY"} for _ in self._stack]}
        manifest = [{"Config": "blobs/sha256/cf", "Layers": [path for _, path, _ in self._stack]}]
        contents = {path: content for _, path, content in self._stack}
        contents |= {"blobs/sha256/cf": json.dumps(config).encode()}
        contents |= {"manifest.json": json.dumps(manifest).encode()}
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, content in contents.items():
                member = tarfile.TarInfo(name)
                if self._linked and name.startswith("again"):
                    member.type, member.linkname = tarfile.SYMTYPE, "../first/layer.tar"
                    archive.addfile(member)
                    continue
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return in_blocks(stream.getvalue(), chunk_size)


LAYER = tarred("data/a=1000000")
ONE, OTHER = ("sha256:aa", "blobs/sha256/aa", LAYER), ("sha256:bb", "blobs/sha256/bb", tarred("data/b=9"))
NOTHING = ("sha256:ee", "blobs/sha256/ee", EMPTY)


@pytest.mark.parametrize(
    ("stack", "distinct"),
    [
        ((ONE, ONE), (ONE,)),
        ((ONE, ONE, ONE), (ONE,)),
        ((ONE, OTHER, ONE), (ONE, OTHER)),
        ((NOTHING, ONE, NOTHING, NOTHING), (NOTHING, ONE)),
        ((ONE, OTHER), (ONE, OTHER)),
    ],
)
def test_a_layer_that_an_image_holds_again_is_pulled_once_and_unpacked_each_time(
    stack: tuple[tuple[str, str, bytes], ...], distinct: tuple[tuple[str, str, bytes], ...], tmp_path: Path
) -> None:
    """As an engine does: its disk holds the content once for each place in the stack."""
    found = measure_image(StackedEngine(*stack), "sha256:1", tmp_path / "layers.json", Silent())
    pulled = measure_image(StackedEngine(*distinct), "sha256:1", tmp_path / "apart" / "layers.json", Silent())
    assert found.compressed_bytes == pulled.compressed_bytes
    assert found.compressed_bytes == sum(layer.compressed_bytes or 0 for layer in found.layers)
    assert found.unpacked_bytes == 1_000_000 * len(stack)
    # all of it but one copy is replaced by the copy above
    assert found.wasted_bytes == 1_000_000 * (stack.count(ONE) - 1)
    assert [layer.digest for layer in found.layers] == [digest for digest, _, _ in stack]
    assert measure_image(StackedEngine(*stack), "sha256:1", tmp_path / "layers.json", Silent()) == found


def test_a_layer_under_two_compressions_is_pulled_in_both(tmp_path: Path) -> None:
    packed = [gzip.compress(LAYER, level) for level in (1, 9)]
    blobs = [("sha256:aa", f"blobs/sha256/{number}", content) for number, content in enumerate(packed)]
    found = measure_image(StackedEngine(*blobs, blobs[0]), "sha256:1", tmp_path / "layers.json", Silent())
    assert found.compressed_bytes == sum(map(len, packed))
    assert found.unpacked_bytes == 3_000_000


def test_a_layer_that_a_save_holds_again_as_a_link_is_the_same_layer(tmp_path: Path) -> None:
    stack = [("sha256:aa", f"{name}/layer.tar", LAYER) for name in ("first", "again")]
    linked, plain = (
        measure_image(
            StackedEngine(*layers, linked=True), "sha256:1", tmp_path / str(n) / "layers.json", Silent()
        )
        for n, layers in enumerate((stack, stack[:1]))
    )
    assert (linked.compressed_bytes, linked.wasted_bytes) == (plain.compressed_bytes, 1_000_000)


def test_podman_writes_layers_at_the_top_of_the_archive(tmp_path: Path) -> None:
    """Each is named by its digest, and is linked to from where older engines of Docker have it."""
    podmans, dockers = (
        measure_image(
            StackedEngine(("sha256:aa", path, LAYER)), "sha256:1", tmp_path / str(n) / "layers.json", Silent()
        )
        for n, path in enumerate(("aa.tar", "first/layer.tar"))
    )
    assert podmans == dockers


DOCKERFILE = """
FROM {base}
RUN mkdir -p /data/kept/deep && head -c 300000 /dev/urandom >/data/kept/a && cp /data/kept/a /data/kept/deep/b
RUN rm /data/kept/a && head -c 1000 /dev/urandom >/data/kept/c && ln /data/kept/c /data/kept/d
RUN head -c 2000 /dev/urandom >/data/kept/new && mv /data/kept/new /data/kept/c
RUN rm -r /data/kept/deep && mkdir /data/kept/deep && head -c 70 /dev/urandom >/data/kept/deep/e
"""


@pytest.mark.engine
def test_a_built_images_files_are_those_that_its_containers_see() -> None:
    import docker

    engine, base = docker.from_env(), "python:3.11-slim-bookworm"
    built, _ = engine.images.build(fileobj=io.BytesIO(DOCKERFILE.format(base=base).encode()), rm=True)
    try:
        plain, ours = (surveyed(engine.images.get(name)) for name in (base, built.id))
        assert plain.wasted_bytes is not None
        # a goes, b is hidden with its folder; c lives on as d when it is replaced
        assert ours.wasted_bytes == plain.wasted_bytes + 300_000 + 300_000
        sizes = "find /usr/bin -xdev -type f -printf '%i %s\n' | sort -u | awk '{s += $2} END {print s}'"
        seen = int(engine.containers.run(built.id, ["sh", "-c", sizes], remove=True, network_disabled=True))
        assert {one.path: one.unpacked_bytes for one in ours.directories}["usr/bin"] == seen
    finally:
        engine.images.remove(built.id, force=True)
        engine.close()


def surveyed(image: Any) -> Survey:
    stream = cast(BinaryIO, ChunkedFile(image.save(chunk_size=1 << 20)))
    return survey(stream, image.attrs["RootFS"]["Layers"], set(), [])


class Told(Silent):
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_history_lines_are_shortened_for_reading() -> None:
    assert shorten("RUN /bin/sh -c  make   it # buildkit") == "RUN make it"
    assert len(shorten("RUN " + "x" * 500)) == 60


@pytest.mark.parametrize("packed", [False, True])
def test_a_layer_without_a_step_of_history_is_as_long_as_its_tar(packed: bool) -> None:
    content = gzip.compress(MIXED) if packed else MIXED
    found = survey(saved_image({"sha256:aa": content}, HISTORY), ["sha256:aa"], {"sha256:aa"}, [111]).layers
    assert found["sha256:aa"].unpacked_bytes == len(MIXED)


def test_a_cache_that_cannot_be_kept_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = tmp_path / "file" / "layers.json"
    assert measure_image(FakeEngine(), "sha256:1", cache, Silent()).unpacked_bytes == 133
