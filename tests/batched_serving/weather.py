"""The committed model, as the tests of the engines load it, and its answers by the plain network."""

from pathlib import Path

import numpy as np
import torch

from batched_serving.engine import BatchedEngine
from modelkit.network import load_weights
from serving_core.classifier import network_of
from serving_core.engine import Compute, Logits, Pixels
from serving_core.models.manifest import Classifier, read_classifier, read_manifest
from serving_core.network import Arrays, Network

MODEL = Path(__file__).parents[2] / "model"
WEIGHTS = MODEL / "weights.safetensors"


def classifier() -> Classifier:
    """What the committed manifest says."""
    return read_classifier(read_manifest((MODEL / "model.json").read_bytes(), "model.json"))


def network() -> Network:
    """What an engine that takes crops must know of the committed model."""
    return network_of(classifier(), "crop")


def pictures(count: int, crop: int = 224) -> Pixels:
    """Pictures of noise, each unlike the others."""
    return np.random.default_rng(7).integers(0, 256, (count, crop, crop, 3), np.uint8)


def loaded(compute: Compute) -> BatchedEngine:
    """The engine with the committed weights, cold."""
    engine = BatchedEngine()
    engine.load(WEIGHTS, network(), compute)
    return engine


def example() -> Arrays:
    """The input of one item, as a handler gives it to warm an engine."""
    return [pictures(1)]


def plain_logits(batch: Pixels) -> Logits:
    """The answers of the network as it was trained, one image at a time, on the processor."""
    module, transform = load_weights(WEIGHTS, len(classifier().labels)), classifier().transform
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (transform.mean, transform.std))
    rows = []
    with torch.inference_mode():
        for picture in batch:
            pixels = torch.from_numpy(picture[np.newaxis]).permute(0, 3, 1, 2) / 255
            rows.append(module((pixels - mean) / std).numpy())
    return np.concatenate(rows)
