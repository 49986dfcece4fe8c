"""What images have in common: a host pulls and stores a layer with the same digest only once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.model import ImageSize, Layer, Run

PyTorchBuild = Literal["CPU", "CUDA"]
"""Which build of PyTorch an image holds: the one for CPUs, or one with CUDA's packages beside it."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What an image shares with some others beyond the common base: bytes, and the names of those others."""

    unpacked_bytes: int
    others: tuple[str, ...]


def shared_layers(run: Run) -> tuple[Layer, ...]:
    """The layers with which every strategy's image begins; empty if fewer than two images are known."""
    images = [result.image for result in run.strategies.values() if result.image is not None]
    return leading_layers(images) if len(images) > 1 else ()


def leading_layers(images: Sequence[ImageSize]) -> tuple[Layer, ...]:
    """The layers with which all these images begin; all layers if there is only one image."""
    shared = []
    for layers in zip(*(image.layers for image in images), strict=False):
        if any(layer.digest != layers[0].digest for layer in layers):
            break
        shared.append(layers[0])
    return tuple(shared)


def pytorch_builds(run: Run) -> dict[PyTorchBuild, list[str]]:
    """The strategies whose images hold PyTorch, by its build, as the packages in the images show it."""
    builds: dict[PyTorchBuild, list[str]] = {}
    for name, result in run.strategies.items():
        build = pytorch_build(result.image) if result.image is not None else None
        if build is not None:
            builds.setdefault(build, []).append(name)
    return builds


def pytorch_build(image: ImageSize) -> PyTorchBuild | None:
    """The build of PyTorch in an image; None if it has no PyTorch, or if its files are not known.

    PyTorch would be among the largest directories, and CUDA's packages are larger than PyTorch itself.
    """
    packages = {directory.path for directory in image.directories}
    if "site-packages/torch" not in packages:
        return None
    return "CUDA" if "site-packages/nvidia" in packages else "CPU"


def overlap(run: Run, name: str) -> Overlap:
    """What a strategy's image shares, beyond the base of all images, with some of the others.

    Empty layers are left out, because they are the same in every image. A layer that the image holds twice is
    shared once.
    """
    base = {layer.digest for layer in shared_layers(run)}
    held = {
        other: {layer.digest for layer in result.image.layers if layer.unpacked_bytes} - base
        for other, result in run.strategies.items()
        if result.image is not None
    }
    image = run.strategies[name].image
    layers = {layer.digest: layer for layer in image.layers} if image else {}
    others = {other: digests for other, digests in held.items() if other != name}
    return Overlap(
        sum(
            layer.unpacked_bytes
            for digest, layer in layers.items()
            if any(digest in held_there for held_there in others.values())
        ),
        tuple(other for other, digests in others.items() if digests & held.get(name, set())),
    )
