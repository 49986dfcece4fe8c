"""The model's quality: accuracy, weighted F1, a table of classes, a confusion matrix."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelkit.data import Dataset
from modelkit.manifest import LABELS, Transform
from modelkit.network import MobileNetV3Small
from modelkit.reference import normalise

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Scores:
    """Counts of true class (rows) against predicted class (columns), int64 [classes, classes]."""

    confusion: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """The share of pictures whose predicted class is right."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    def per_class(self) -> NDArray[np.float64]:
        """Return precision, recall and F1 of every class [classes, 3]; 0 if the class was never predicted."""
        hits = np.diag(self.confusion).astype(np.float64)
        precision = hits / np.maximum(self.confusion.sum(0), 1)
        recall = hits / np.maximum(self.confusion.sum(1), 1)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        return np.stack([precision, recall, f1], axis=1)

    @property
    def weighted_f1(self) -> float:
        """The classes' F1, weighted by how many pictures each has."""
        return float(np.average(self.per_class()[:, 2], weights=self.confusion.sum(1)))

    def metrics(self) -> dict[str, Any]:
        """Return the metrics for the manifest."""
        return {
            "accuracy": round(self.accuracy, 4),
            "weighted_f1": round(self.weighted_f1, 4),
            "test_images": int(self.confusion.sum()),
        }

    def table(self) -> str:
        """Return the per-class table as lines of text."""
        rows = [f"{'class':<12}{'precision':>10}{'recall':>8}{'F1':>8}{'images':>8}"]
        for label, (precision, recall, f1), count in zip(
            LABELS, self.per_class(), self.confusion.sum(1), strict=True
        ):
            rows.append(f"{label:<12}{precision:>10.3f}{recall:>8.3f}{f1:>8.3f}{count:>8}")
        rows.append(f"accuracy {self.accuracy:.4f}, weighted F1 {self.weighted_f1:.4f}")
        return "\n".join(rows)


@torch.inference_mode()
def predict(network: MobileNetV3Small, dataset: Dataset) -> NDArray[np.int64]:
    """Return the predicted class of every picture [n], without augmentation."""
    network.eval()
    answers = []
    for start in range(0, len(dataset), _BATCH):
        pixels = torch.from_numpy(dataset.pixels[start : start + _BATCH])
        batch = normalise(pixels, Transform()).contiguous(memory_format=torch.channels_last)
        answers.append(network(batch).argmax(1).numpy())
    return np.concatenate(answers)


def accuracy(network: MobileNetV3Small, dataset: Dataset) -> float:
    """Return the share of the dataset's pictures that the network gets right."""
    return float((predict(network, dataset) == dataset.classes).mean())


def judge(network: MobileNetV3Small, dataset: Dataset) -> Scores:
    """Return the network's scores on the dataset."""
    confusion = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(confusion, (dataset.classes, predict(network, dataset)), 1)
    return Scores(confusion)


def draw_confusion(scores: Scores, path: Path, what: str) -> None:
    """Draw the confusion matrix of `what` as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shares = scores.confusion / np.maximum(scores.confusion.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(scores.confusion), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(scores.confusion[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(LABELS)), LABELS, rotation=45, ha="right")
    axes.set_yticks(range(len(LABELS)), LABELS)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"{what}: weighted F1 {scores.weighted_f1:.3f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
