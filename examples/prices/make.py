"""python -m examples.prices.make: draw a network's weights from a seed and write them as safetensors."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from examples.output_folder import output_folder
from examples.prices.price_network import Prices

SEED = 12


def make(folder: Path) -> Path:
    """Write weights.safetensors into the folder and return it: names and tensors, and none of the code."""
    torch.manual_seed(SEED)
    save_file(Prices().state_dict(), folder / "weights.safetensors")
    return folder / "weights.safetensors"


if __name__ == "__main__":
    print(f"wrote {make(output_folder('prices', __doc__))}")
