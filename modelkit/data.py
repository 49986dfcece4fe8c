"""Training pictures in memory: generated scenes or a folder of photographs, split by a seed."""

import io
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from modelkit import ModelkitUsageError
from modelkit.images import decode, reference_pixels
from modelkit.manifest import LABELS, Transform
from modelkit.scenes import scene

Item = TypeVar("Item")
Made = TypeVar("Made")

_PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_SEED_STRIDE = 1_000_000
_LEARNED, _WATCHED = 0.8, 0.1


@dataclass(frozen=True, slots=True)
class Dataset:
    """Pictures resized and cropped by the reference, uint8 [n, crop, crop, 3], and classes int64 [n]."""

    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]

    def take(self, indices: NDArray[np.int64]) -> "Dataset":
        """Return the pictures at these indices, in that order."""
        return Dataset(self.pixels[indices], self.classes[indices])

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True, slots=True)
class Splits:
    """Pictures for training, for validation during training, and for the final test."""

    train: Dataset
    validation: Dataset
    test: Dataset


def stratified_split(classes: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], ...]:
    """Return indices of train, validation and test: 80/10/10 of each class, at least 1 each, shuffled."""
    rng = np.random.default_rng(seed)
    parts: tuple[list[NDArray[np.int64]], ...] = ([], [], [])
    for label in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == label))
        watched = max(1, round(len(members) * _WATCHED))
        judged = max(1, len(members) - round(len(members) * _LEARNED) - watched)
        learned = len(members) - watched - judged
        for part, chosen in zip(parts, np.split(members, [learned, learned + watched]), strict=True):
            part.append(chosen)
    return tuple(rng.permutation(np.concatenate(part)) for part in parts)


def split(dataset: Dataset, seed: int) -> Splits:
    """Return the dataset in its three stratified parts."""
    train, validation, test = (dataset.take(part) for part in stratified_split(dataset.classes, seed))
    return Splits(train, validation, test)


def generated(per_class: int, seed: int) -> Dataset:
    """`per_class` synthetic scenes of every class, of varied sizes and JPEG qualities."""
    tasks = [(k, seed * _SEED_STRIDE + i) for i in range(per_class) for k in range(len(LABELS))]
    return _gather(_render, tasks, "scenes")


def photographs(folder: Path) -> Dataset:
    """Return the photographs in `folder`, by sub-folder; raises ModelkitUsageError if too few."""
    missing = [label for label in LABELS if not (folder / label).is_dir()]
    if missing:
        raise ModelkitUsageError(
            f"{folder} lacks the sub-folders {', '.join(missing)}: give every class a folder"
        )
    tasks = []
    for index, label in enumerate(LABELS):
        files = sorted(p for p in (folder / label).iterdir() if p.suffix.lower() in _PHOTO_SUFFIXES)
        if len(files) < 3:
            raise ModelkitUsageError(f"{folder / label} holds {len(files)} images: a split needs at least 3")
        tasks += [(index, file) for file in files]
    return _gather(_read, tasks, "photographs")


def _gather(
    make: Callable[[tuple[int, Item]], NDArray[np.uint8]], tasks: list[tuple[int, Item]], unit: str
) -> Dataset:
    size = Transform().crop
    pixels = np.empty((len(tasks), size, size, 3), np.uint8)
    with parallel_map() as apply:
        progress = tqdm(apply(make, tasks), total=len(tasks), desc=unit, unit="img", mininterval=0.5)
        for row, picture in enumerate(progress):
            pixels[row] = picture
    return Dataset(pixels, np.asarray([index for index, _ in tasks], np.int64))


class parallel_map:  # noqa: N801 - used like a function
    """An ordered parallel map over the cores that this process may use."""

    def __enter__(self) -> Callable[..., Iterator[Any]]:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._pool = multiprocessing.get_context("spawn").Pool(workers)

        def apply(make: Callable[[Item], Made], tasks: Iterable[Item]) -> Iterator[Made]:
            return self._pool.imap(make, tasks, chunksize=16)

        return apply

    def __exit__(self, *_: object) -> None:
        self._pool.terminate()
        self._pool.join()


def _render(task: tuple[int, int]) -> NDArray[np.uint8]:
    index, seed = task
    rng = np.random.default_rng((seed, index))
    large = rng.random() < 0.12
    short, ratio = int(rng.integers(330, 640) if large else rng.integers(230, 330)), rng.uniform(1.0, 1.7)
    width, height = int(short * ratio), short
    if rng.random() < 0.25:
        width, height = height, width
    buffer = io.BytesIO()
    scene(LABELS[index], seed, width, height).save(buffer, "JPEG", quality=int(rng.integers(40, 96)))
    return reference_pixels(Image.open(buffer).convert("RGB"), Transform())


def _read(task: tuple[int, Path]) -> NDArray[np.uint8]:
    _, file = task
    return reference_pixels(decode(file.read_bytes(), file.name), Transform())
