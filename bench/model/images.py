"""An image and its size."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an image: the command that made it (shortened), its size, and the digest of its content.

    Images that hold a layer of the same digest share it: a host pulls and stores it once. If an image itself
    holds it several times, a host pulls it once (each further place has 0 compressed bytes) and unpacks it
    each time.
    """

    created_by: str
    unpacked_bytes: int
    compressed_bytes: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of an image and the bytes of the files below it; an installed package is one."""

    path: str
    unpacked_bytes: int


@dataclass(frozen=True, slots=True)
class ImageSize:
    """An image's size summed over its layers; compressed is what a pull moves, each blob once.

    `directories` are the largest, by package; `wasted_bytes` are of files that a later layer replaces or
    removes; `model_bytes` is what the model adds, which is pulled at the start and lies in no layer.
    """

    unpacked_bytes: int
    compressed_bytes: int | None
    layers: tuple[Layer, ...]
    directories: tuple[Directory, ...] = ()
    wasted_bytes: int | None = None
    model_bytes: int | None = None
