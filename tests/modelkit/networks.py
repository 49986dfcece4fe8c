"""Small networks of PyTorch, as a user writes them: the tests of `add` name their factories."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

CLASSES = 4
SIDE = 24
KERNEL = 33


class Texts(nn.Module):
    """Token ids [n, length] and a mask [n, length] -> a vector [n, 6] and the number of tokens [n]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.table, self.last = nn.Embedding(40, 8), nn.Linear(8, 6)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        kept = self.table(tokens) * mask[..., None]
        return self.last(kept.sum(1)), mask.sum(1)


class Pictures(nn.Module):
    """Normalised images [n, 3, h, w] -> logits [n, CLASSES]."""

    def __init__(self, softmax: bool = False) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.filters, self.last, self.softmax = nn.Conv2d(3, 8, 5, 3), nn.Linear(8, CLASSES), softmax

    def forward(self, images: Tensor) -> Tensor:
        logits = self.last(self.filters(images).relu().mean((2, 3)))
        return logits.softmax(1) if self.softmax else logits


class Photographs(nn.Module):
    """Whole images, uint8 [n, h, w, 3] -> logits [n, CLASSES]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.last = nn.Linear(3, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.last(images.float().mean((1, 2)))
        return scores


class Lists(nn.Module):
    """Two features that come as a list."""

    def forward(self, pair: list[Tensor]) -> Tensor:
        return pair[0] + pair[1]


class Halves(nn.Module):
    """A batch of exactly two."""

    def __init__(self) -> None:
        super().__init__()
        self.added = nn.Parameter(torch.ones(2, 3))

    def forward(self, rows: Tensor) -> Tensor:
        return rows + self.added


def long() -> nn.Module:
    """Rows [n, 2, length] of at least KERNEL places -> [n, 3, length - KERNEL + 1]."""
    torch.manual_seed(6)
    return nn.Conv1d(2, 3, KERNEL)


@dataclass
class Answer:
    """An answer that is no tuple."""

    scores: Tensor


torch.export.register_dataclass(Answer, serialized_type_name="tests.Answer")


class Classed(nn.Module):
    """Scores in a class of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(2, 2)

    def forward(self, rows: Tensor) -> Answer:
        return Answer(self.last(rows))


def classed() -> nn.Module:
    return Classed()


def texts() -> nn.Module:
    return Texts()


def pictures() -> nn.Module:
    return Pictures()


def halves() -> nn.Module:
    return Halves()


def no_network() -> object:
    return "a network"
