"""Batch norms are folded where that changes no answer, and nowhere else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from batched_serving.engine import BatchedEngine
from batched_serving.network import load_folded
from serving_core.engine import Compute
from serving_core.network import Network
from serving_core.tensors import TensorSpec

HERE = "tests.batched_serving.test_folding"


def block() -> nn.Sequential:
    """A convolution, and a batch norm that changes much."""
    torch.manual_seed(5)
    norm = nn.BatchNorm2d(4)
    norm.running_mean, norm.running_var = torch.randn(4), torch.rand(4) + 0.5
    return nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU())


class Plain(nn.Module):
    """Calls the Sequential as a whole, as nearly all networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.block = block()

    def forward(self, images: Tensor) -> Tensor:
        """Return means [n, 4]."""
        made: Tensor = self.block(images)
        return made.mean((2, 3))


class Tapped(Plain):
    """Takes what the convolution alone gives, too."""

    def forward(self, images: Tensor) -> Tensor:
        """Return means [n, 4]."""
        first = self.block[0](images)
        made: Tensor = self.block[2](self.block[1](first)) + first
        return made.mean((2, 3))


class Doubling(nn.Conv2d):
    """A convolution of the user's own."""

    def forward(self, images: Tensor) -> Tensor:
        """Return twice what a convolution gives."""
        return 2 * super().forward(images)


class Derived(Plain):
    """Has that convolution before the batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.block[0] = Doubling(3, 4, 3)


class OfTheBatch(Plain):
    """Its batch norm keeps no statistics, so there is nothing to fold."""

    def __init__(self) -> None:
        super().__init__()
        self.block[1] = nn.BatchNorm2d(4, track_running_stats=False)


@pytest.mark.parametrize(
    ("make", "folded"), [(Plain, True), (Tapped, False), (Derived, False), (OfTheBatch, False)]
)
def test_the_answers_are_those_of_the_network_as_it_came(
    make: Callable[[], nn.Module], folded: bool, tmp_path: Path
) -> None:
    given = make().eval()
    save_file(given.state_dict(), tmp_path / "weights.safetensors")
    network = Network(
        (TensorSpec("images", "FP32", (3, 9, 9)),),
        (TensorSpec("means", "FP32", (4,)),),
        architecture=f"{HERE}:{make.__name__}",
    )
    module = load_folded(tmp_path / "weights.safetensors", network)
    assert any(isinstance(part, nn.Identity) for part in module.modules()) is folded
    engine = BatchedEngine()
    engine.load(tmp_path / "weights.safetensors", network, Compute(device="cpu"))
    images = np.random.default_rng(1).random((3, 3, 9, 9), np.float32)
    with torch.inference_mode():
        expected = given(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(engine.predict([images])[0], expected, atol=1e-4)
