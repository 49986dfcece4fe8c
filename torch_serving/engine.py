"""The network in eager PyTorch on the CPU."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from modelkit.network import WeightsError, load_weights
from serving_core.engine import Batching, Compute, Logits, Pixels, refuse_gpu
from serving_core.errors import StartError
from serving_core.models.manifest import Classifier

WARM_RUNS = 5


class TorchEngine:
    """The network in eager and eval mode, without autograd; each calling thread computes on one core."""

    name = "torch"
    takes: Literal["crop", "image"] = "crop"
    batching = Batching()

    def load(self, path: Path, classifier: Classifier, compute: Compute) -> None:
        """Load the weights strictly; raises StartError if they do not fit the network."""
        refuse_gpu(compute, "torch_serving")
        # As many requests as cores are computed at once: more threads for each would only compete for them.
        torch.set_num_threads(1)
        self._crop = classifier.transform.crop
        self._mean = torch.tensor(classifier.transform.mean).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(classifier.transform.std).view(1, 3, 1, 1) * 255
        try:
            network = load_weights(path, len(classifier.labels))
        except WeightsError as error:
            raise StartError(
                f"{path.name} is not the {classifier.architecture} that its manifest says ({error})"
            ) from None
        self._network = network

    def warm(self) -> None:
        """Compute a few blank images."""
        for _ in range(WARM_RUNS):
            self.predict(np.zeros((1, self._crop, self._crop, 3), np.uint8))

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes] of uint8 crops [n, crop, crop, 3]."""
        with torch.inference_mode():
            pixels: Tensor = torch.from_numpy(batch).permute(0, 3, 1, 2).float()
            logits: Logits = self._network((pixels - self._mean) / self._std).numpy()
        return logits
