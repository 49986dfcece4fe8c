"""Row 15: a layer that an image holds twice is pulled once, and unpacked each time."""

import gzip
from collections.abc import Sequence
from pathlib import Path

from bench.measure.progress import Silent
from bench.measure.runtime.image_size import gzip_size, measure_image
from bench.model import ImageSize
from tests.bench.test_image_size import ONE, OTHER, StackedEngine
from tests.calibration.claims import Figure
from tests.calibration.edges.registry import Edge

STACK = (ONE, OTHER, ONE, ONE)


def measure(folder: Path) -> Sequence[Figure]:
    """As it is summed now."""
    found = sized(folder)
    unpacked = Figure("unpacked bytes", 4e6, found.unpacked_bytes, "equal", found.unpacked_bytes == 4e6, 4)
    return [figure(found.compressed_bytes or 0), unpacked]


def broken(folder: Path) -> Sequence[Figure]:
    """Summed over places."""
    first = {layer.digest: layer.compressed_bytes or 0 for layer in reversed(sized(folder).layers)}
    return [figure(sum(first[digest] for digest, _, _ in STACK))]


def sized(folder: Path) -> ImageSize:
    return measure_image(StackedEngine(*STACK), "sha256:1", folder / "layers.json", Silent())


def figure(found: int) -> Figure:
    truth = sum(len(gzip.compress(content, 6)) for _, _, content in (ONE, OTHER))
    assert gzip_size([ONE[2]]) <= truth
    holds = abs(found - truth) <= 0.01 * truth + 100
    return Figure("bytes pulled", truth, found, "within 1%", holds, len(STACK))


EDGES = [Edge(15, "a layer that an image holds twice is pulled once", measure, broken)]
