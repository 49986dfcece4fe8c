"""python -m examples.encoder.make: draw a transformer's weights from a seed and write it by torch.export."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from examples.output_folder import output_folder

SEED = 6
VOCABULARY = 1000
WIDTH = 64
LONGEST = 128


class Encoder(nn.Module):
    """Token ids, int64 [n, length] -> a vector for each text, float32 [n, WIDTH], of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Embedding(LONGEST, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, nhead=4, dim_feedforward=4 * WIDTH, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the mean over the text's tokens, scaled to length 1."""
        places = torch.arange(tokens.shape[1])
        encoded: Tensor = self.layers(self.words(tokens) + self.places(places))
        return nn.functional.normalize(encoded.mean(1))


def make(folder: Path) -> Path:
    """Write encoder.pt2 into the folder and return it: any number of texts, each of up to LONGEST tokens."""
    torch.manual_seed(SEED)
    tokens = torch.zeros(2, 12, dtype=torch.int64)
    sizes = {0: Dim("batch"), 1: Dim("length", max=LONGEST)}
    program = torch.export.export(Encoder().eval(), (tokens,), dynamic_shapes=(sizes,))
    torch.export.save(program, folder / "encoder.pt2")
    return folder / "encoder.pt2"


if __name__ == "__main__":
    print(f"wrote {make(output_folder('encoder', __doc__))}")
