"""ResNet-18."""

from torch import Tensor, nn

CLASSES = 10


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the size, or divides it by the stride, and its normalisation."""
    conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """Two convolutions of 3x3, and a way past them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, 3, stride)
        self.second = convolution(outputs, outputs, 3)
        same = stride == 1 and inputs == outputs
        self.past = nn.Identity() if same else convolution(inputs, outputs, 1, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Return features [n, outputs, h/stride, w/stride] of features [n, inputs, h, w]."""
        changed: Tensor = self.second(self.first(features).relu()) + self.past(features)
        return changed.relu()


class ResNet18(nn.Module):
    """Normalised images, float32 [n, 3, h, w] -> logits [n, CLASSES]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
        blocks = [(Block(a, b, stride), Block(b, b, 1)) for a, b, stride in widths]
        self.blocks = nn.Sequential(*(block for pair in blocks for block in pair))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.blocks(self.stem(images)))
        return logits
