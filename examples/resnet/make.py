"""python -m examples.resnet.make: draw a ResNet-18's weights from a seed and write it by torch.export."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from examples.output_folder import output_folder
from examples.resnet.network import CLASSES, ResNet18

SEED = 18
SIZE = 224


def pictures() -> Tensor:
    """Return blots of colour, float32 [8, 3, 96, 96]; they differ in contrast and tint, as photographs do."""
    blots = nn.functional.interpolate(torch.randn(8, 3, 8, 8), size=(96, 96), mode="bilinear")
    return blots * 2 * torch.rand(8, 1, 1, 1) + torch.randn(8, 3, 1, 1)


def draw() -> ResNet18:
    """Return a network that knows nothing, but whose answers differ from picture to picture."""
    torch.manual_seed(SEED)
    network = ResNet18()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the average of all batches, instead of one that forgets
    with torch.no_grad():
        for _ in range(4):
            network(pictures())
        network.eval()
        network.head[-1].bias -= network(pictures()).mean(0)
    return network


def make(folder: Path) -> Path:
    """Write resnet.pt2, whose batch has any size, and labels.txt into the folder; return the former."""
    program = torch.export.export(
        draw(), (torch.zeros(2, 3, SIZE, SIZE),), dynamic_shapes=({0: Dim("batch")},)
    )
    torch.export.save(program, folder / "resnet.pt2")
    (folder / "labels.txt").write_text("".join(f"class_{number}\n" for number in range(CLASSES)), "utf-8")
    return folder / "resnet.pt2"


if __name__ == "__main__":
    print(f"wrote {make(output_folder('resnet', __doc__))} and its labels.txt")
