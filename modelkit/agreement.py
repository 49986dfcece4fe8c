"""How far a form that is not exact agrees with the committed answers, by labels and probabilities."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelkit.graph import ParityError, graph_logits, read_expected
from modelkit.manifest import read_transform

LEAST_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Agreement:
    """The number of images, those with the expected label, and the largest difference of a probability."""

    images: int
    agreeing: int
    furthest: float

    def __str__(self) -> str:
        return (
            f"{self.agreeing} of {self.images} images have the expected label, "
            f"probabilities differ by {self.furthest:.3f} at most"
        )


def check_agreement(network: Path, images: Path, model_dir: Path) -> Agreement:
    """Compare a graph of the network alone with the image set's committed answers.

    Raises ParityError if fewer than LEAST_SHARE of the images have the expected label.
    """
    answers = read_expected(images)
    expected = np.stack([answer.logits for answer in answers])
    found = graph_logits(network, answers, read_transform(model_dir))
    agreement = Agreement(
        len(answers),
        int((expected.argmax(1) == found.argmax(1)).sum()),
        float(np.abs(_probabilities(expected) - _probabilities(found)).max()),
    )
    if agreement.agreeing < LEAST_SHARE * agreement.images or not np.isfinite(found).all():
        raise ParityError(f"{network.name} is too far from the reference ({agreement}): export it again")
    return agreement


def _probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    weights = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))
