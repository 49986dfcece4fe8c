"""python -m examples.towers.make: draw two towers' weights from a seed and write them by torch.export."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from examples.output_folder import output_folder

SEED = 2
READER, ARTICLE, SHARED = 32, 48, 16


def tower(inputs: int) -> nn.Sequential:
    """Return what maps one side's features [n, inputs] to [n, SHARED]."""
    return nn.Sequential(nn.Linear(inputs, 256), nn.GELU(), nn.Linear(256, SHARED))


class Towers(nn.Module):
    """Readers' and articles' features, float32 [n, READER], [n, ARTICLE] -> scores [n], parts [n, SHARED]."""

    def __init__(self) -> None:
        super().__init__()
        self.of_reader, self.of_article = tower(READER), tower(ARTICLE)

    def forward(self, reader: Tensor, article: Tensor) -> tuple[Tensor, Tensor]:
        """Return how well they suit each other, and which shared features say so."""
        parts = self.of_reader(reader) * self.of_article(article)
        return parts.sum(1).sigmoid(), parts


def make(folder: Path) -> Path:
    """Write towers.pt2, whose batch has any size, into the folder and return it."""
    torch.manual_seed(SEED)
    rows = (torch.zeros(2, READER), torch.zeros(2, ARTICLE))
    batch = {0: Dim("batch")}  # both inputs have as many rows
    program = torch.export.export(Towers().eval(), rows, dynamic_shapes=(batch, batch))
    torch.export.save(program, folder / "towers.pt2")
    return folder / "towers.pt2"


if __name__ == "__main__":
    print(f"wrote {make(output_folder('towers', __doc__))}")
