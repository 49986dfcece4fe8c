"""The network of the weights, as a training would have it: a module of its own, without other imports."""

from torch import Tensor, nn

FEATURES, WIDTH = 12, 256


class Prices(nn.Module):
    """Features of flats, float32 [n, FEATURES] -> their prices [n] and how sure they are [n]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU())
        self.price, self.doubt = nn.Linear(WIDTH, 1), nn.Linear(WIDTH, 1)

    def forward(self, flats: Tensor) -> tuple[Tensor, Tensor]:
        """Return prices above 0, and how far off they may be as a share of the price."""
        found = self.body(flats)
        return nn.functional.softplus(self.price(found)).squeeze(1), self.doubt(found).sigmoid().squeeze(1)
