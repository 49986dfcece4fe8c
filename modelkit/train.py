"""Training on pictures in memory, with random crops and flips and one cycle of the learning rate."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm

from modelkit import data, evaluate
from modelkit.data import Dataset
from modelkit.manifest import (
    LABELS,
    MANIFEST_FILE,
    WEIGHTS_FILE,
    Transform,
    build_manifest,
    image_fields,
    write_json,
)
from modelkit.network import MobileNetV3Small, initialise
from modelkit.reference import load_backbone, normalise

LOGIT_TOLERANCE = 0.2
_ARCHITECTURE = "modelkit.network:MobileNetV3Small"
_GLANCE = 512
_SYNTHETIC = "synthetic weather scenes (modelkit/scenes.py), not photographs"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train; to save time, `small_share` of the epochs use pictures of `small_side` pixels."""

    epochs: int = 16
    batch: int = 64
    peak_rate: float = 3e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    small_side: int = 128
    small_share: float = 0.87
    freeze_backbone: bool = False


@dataclass(frozen=True, slots=True)
class PictureSource:
    """The source of pictures: a folder of photographs, or the generator if `photos` is None."""

    photos: Path | None
    per_class: int
    seed: int

    def load(self) -> data.Splits:
        """Return the pictures, split; raises ModelkitUsageError for an unfit folder."""
        if self.photos is not None:
            return data.split(data.photographs(self.photos), self.seed)
        return data.split(data.generated(self.per_class, self.seed), self.seed)

    def description(self) -> str:
        """The training data, in the words of the manifest."""
        return _SYNTHETIC if self.photos is None else f"photographs in a folder named {self.photos.name}"


def train(source: PictureSource, recipe: Recipe, initial: Path | None, out: Path) -> None:
    """Train, judge on the test split, and write weights and manifest to `out`."""
    torch.manual_seed(source.seed)
    splits = source.load()
    network = MobileNetV3Small(len(LABELS)) if initial is None else load_backbone(initial)
    started = time.perf_counter()
    fit(network, splits, recipe, source.seed)
    print(f"trained in {time.perf_counter() - started:.0f} s")
    scores = evaluate.judge(network, splits.test)
    print(scores.table())
    out.mkdir(parents=True, exist_ok=True)
    weights = out / WEIGHTS_FILE
    # not written with the library's save_file, which creates a file that no other user may read
    weights.write_bytes(save({name: value.contiguous() for name, value in network.state_dict().items()}))
    described = {"trained_on": source.description(), "metrics": scores.metrics()}
    fields = image_fields(LABELS, Transform(), LOGIT_TOLERANCE, _ARCHITECTURE) | described
    write_json(out / MANIFEST_FILE, build_manifest("weather", "1", fields, [weights]))


def fit(network: MobileNetV3Small, splits: data.Splits, recipe: Recipe, seed: int) -> None:
    """Fit the network in place; at the end recompute BatchNorm's statistics from the training pictures."""
    # torch's types do not list this use of `to`
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.freeze_backbone:
        network.features.requires_grad_(False)
        network.classifier[-1].apply(initialise)
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learned, recipe.peak_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * -(-len(splits.train) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.peak_rate, total_steps=steps, pct_start=0.2
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    rng = np.random.default_rng(seed)
    with tqdm(total=steps, desc="training", unit="step", mininterval=1.0) as progress:
        for epoch in range(recipe.epochs):
            small = epoch < recipe.epochs * recipe.small_share
            side = recipe.small_side if small else Transform().crop
            _learning_mode(network, recipe)
            for images, classes in _batches(splits.train, recipe.batch, side, rng):
                optimiser.zero_grad(set_to_none=True)
                loss = loss_of(network(images), classes)
                loss.backward()
                optimiser.step()
                schedule.step()
                progress.update()
            if not recipe.freeze_backbone:
                refresh_statistics(network, splits.train.take(rng.permutation(len(splits.train))[:_GLANCE]))
            share = evaluate.accuracy(network, splits.validation)
            progress.set_postfix(
                epoch=epoch + 1, side=side, loss=f"{loss.item():.3f}", validation=f"{share:.3f}"
            )
    if not recipe.freeze_backbone:
        refresh_statistics(network, splits.train)
    network.eval()


def _learning_mode(network: MobileNetV3Small, recipe: Recipe) -> None:
    network.train()
    if recipe.freeze_backbone:
        network.features.eval()


def _batches(
    dataset: Dataset, batch: int, side: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled batches of augmented pictures: normalised [n, 3, side, side] and classes [n]."""
    order = rng.permutation(len(dataset))
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        pictures = torch.cat([_augmented(dataset.pixels[row], side, rng) for row in rows])
        exposed = normalise(pictures.permute(0, 2, 3, 1), Transform())
        images = exposed.contiguous(memory_format=torch.channels_last)
        yield images, torch.from_numpy(dataset.classes[rows])


def _augmented(picture: np.ndarray, side: int, rng: np.random.Generator) -> Tensor:
    """Return a random crop of the picture [h, w, 3], perhaps mirrored, as uint8 [1, 3, side, side]."""
    height, width = picture.shape[:2]
    area, ratio = rng.uniform(0.5, 1.0), np.exp(rng.uniform(-0.25, 0.25))
    tall = min(height, round(height * np.sqrt(area / ratio)))
    wide = min(width, round(width * np.sqrt(area * ratio)))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    crop = torch.from_numpy(picture[top : top + tall, left : left + wide]).permute(2, 0, 1)[None]
    resized = nn.functional.interpolate(crop, (side, side), mode="bilinear", antialias=True)
    return resized.flip(3) if rng.random() < 0.5 else resized


@torch.no_grad()
def refresh_statistics(network: nn.Module, dataset: Dataset, batch: int = 128) -> None:
    """Replace BatchNorm's running averages by plain averages over the dataset at full size.

    With their momentum of 0.01 the running averages change too slowly for the few steps of a short training.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    for start in range(0, len(dataset) - len(dataset) % batch or len(dataset), batch):
        pixels = torch.from_numpy(dataset.pixels[start : start + batch])
        network(normalise(pixels, Transform()).contiguous(memory_format=torch.channels_last))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
