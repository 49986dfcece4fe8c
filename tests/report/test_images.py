"""Which layers images share: told by digest, empty layers left out."""

import dataclasses

from bench.analysis.image_overlap import Overlap, overlap, shared_layers
from bench.model import ImageSize, Layer, Run

BASE = Layer("base", 100, 40, "sha256:base")
PACKAGES = Layer("COPY packages", 900, 300, "sha256:packages")
EMPTY = Layer("WORKDIR /app", 0, 20, "sha256:empty")


def with_images(run: Run, stacks: dict[str, tuple[Layer, ...]]) -> Run:
    strategies = {
        name: dataclasses.replace(
            run.strategies[name],
            image=ImageSize(sum(layer.unpacked_bytes for layer in layers), None, layers),
        )
        for name, layers in stacks.items()
    }
    return dataclasses.replace(run, strategies=strategies)


def test_packages_shared_by_two_of_three_are_told_apart_from_the_base(run: Run) -> None:
    own = Layer("COPY packages", 900, 300, "sha256:other")
    found = with_images(
        run,
        {"torch": (BASE, PACKAGES, EMPTY), "onnx": (BASE, own, EMPTY), "batched": (BASE, PACKAGES, EMPTY)},
    )
    assert shared_layers(found) == (BASE,)
    assert overlap(found, "torch") == Overlap(900, ("batched",))
    assert overlap(found, "batched") == Overlap(900, ("torch",))
    assert overlap(found, "onnx") == Overlap(0, ())
