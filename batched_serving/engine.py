"""The engine that computes a batch at a time: on the processor, or on a GPU if the machine has a GPU."""

import logging
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import nn

from batched_serving.batch_sizes import doubling_sizes, saturating_size, time_sizes
from batched_serving.network import Normalise, load_folded
from serving_core.engine import Batching, Compute, Device, Logits, Pixels
from serving_core.errors import StartError
from serving_core.models.manifest import Classifier

# Up to this many images, a larger batch cost less per image on every machine measured, by a few per cent at
# least. Smaller sizes are not considered: a start on a busy host could turn batching off for good.
LEAST = 16
# Larger batches gain nothing: the caches are already full.
MOST = 32
# Two sizes count as equal if their times per image differ by less than this share.
TOLERANCE = 0.05
TIMING_BUDGET_S = 0.5

log = logging.getLogger("batched_serving.engine")


class Backend(Protocol):
    """The loaded network on one kind of device."""

    def warm(self) -> Batching:
        """Compute batches like those of requests, and return the best batching."""

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes] of uint8 crops; called from several threads at once."""


class CpuBackend:
    """Computes a batch on each of several threads; warm-up finds the batch size worth gathering."""

    def __init__(self, network: nn.Module, classifier: Classifier, compute: Compute) -> None:
        # As many batches as cores are computed at the same time. Several threads within an operator would
        # synchronise after each of a hundred small operators, and always wait for the slowest thread.
        torch.set_num_threads(1)
        self._threads = compute.threads
        self._most = min(compute.max_batch, MOST)
        self._crop = classifier.transform.crop
        self._normalise = Normalise(classifier, torch.device("cpu"))
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs know no module with a memory format

    def warm(self) -> Batching:
        """Time batches of several sizes, and return the size beyond which an image costs no less."""
        image = np.random.default_rng(0).integers(0, 256, (1, self._crop, self._crop, 3), np.uint8)
        batch = cache(lambda size: image.repeat(size, axis=0))  # created only if the budget reaches it
        least = min(self._most, LEAST)
        sizes = [size for size in doubling_sizes(self._most) if size >= least]
        for size in doubling_sizes(sizes[0]):  # the first run of a size is slower than later runs
            self.predict(batch(size))
        times = time_sizes(lambda size: self.predict(batch(size)), sizes, TIMING_BUDGET_S)
        size = saturating_size(times, TOLERANCE)
        milliseconds = {str(size): round(seconds * 1000 / size, 2) for size, seconds in times.items()}
        log.debug("batch size", extra={"size": size, "ms_per_image_by_size": milliseconds})
        return Batching(size=size, in_flight=self._threads, own_device=False)

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes] of uint8 crops [n, crop, crop, 3]."""
        with torch.inference_mode():
            logits: Logits = self._network(self._normalise(torch.from_numpy(batch))).numpy()
        return logits


class BatchedEngine:
    """Computes with every core, or on the GPU."""

    name = "batched"
    takes: Literal["crop", "image"] = "crop"
    batching = Batching()

    def load(self, path: Path, classifier: Classifier, compute: Compute) -> None:
        """Load the weights strictly; raises StartError if they do not fit, or if the GPU is missing."""
        wants_gpu = _on_gpu(compute.device)
        network = load_folded(path, classifier)
        self._backend: Backend
        if wants_gpu:
            # Imported here, because without a GPU it is not needed and cannot run.
            from batched_serving.cuda import CudaBackend

            self._backend = CudaBackend(network, classifier, compute)
        else:
            self._backend = CpuBackend(network, classifier, compute)

    def warm(self) -> None:
        """Compute batches of several sizes; from then on `batching` is known."""
        self.batching = self._backend.warm()

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes] of uint8 crops [n, crop, crop, 3]."""
        return self._backend.predict(batch)


def _on_gpu(device: Device) -> bool:
    """Tell whether to use a GPU; raises StartError if DEVICE asks for a GPU and none is usable."""
    if device == "cpu":
        return False
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        if torch.version.cuda is None:
            raise StartError(
                f"DEVICE=cuda: PyTorch {torch.__version__} here has no CUDA; "
                "build the image with compose.gpu.yaml, or set DEVICE=cpu"
            )
        raise StartError(
            "DEVICE=cuda: PyTorch finds no usable GPU; give the container one and a driver "
            f"for CUDA {torch.version.cuda} (docs/gpu.md), or set DEVICE=cpu"
        )
    return there
