"""Whether answers computed in half precision are good enough: pictures to try, and the verdict."""

from dataclasses import dataclass

import numpy as np

from serving_core.engine import Logits, Pixels

# Half precision may use up so much of the tolerance that the model's manifest states for logits: the rest is
# for what differs between any two ways of computing a network.
SHARE = 0.25
NOISES = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far approximate logits are from exact ones, how far they may be, and whether they are."""

    holds: bool
    largest_difference: float
    allowed: float
    same_class: bool


def judge(exact: Logits, approximate: Logits, tolerance: float) -> Verdict:
    """Compare logits [n, classes]: each within SHARE of the tolerance, and the best class the same."""
    allowed = tolerance * SHARE
    difference = float(np.abs(exact - approximate).max())
    same_class = bool((exact.argmax(axis=1) == approximate.argmax(axis=1)).all())
    return Verdict(same_class and difference <= allowed, difference, allowed, same_class)


def probe_pictures(crop: int) -> Pixels:
    """Return pictures of many kinds, uint8 [n, crop, crop, 3], always the same ones.

    Plain ones, gradients, stripes, a checkerboard, and noise from fine to coarse.
    """
    across, down = np.meshgrid(np.linspace(0, 1, crop), np.linspace(0, 1, crop))
    greys = [
        *(np.full((crop, crop), level) for level in (0.0, 0.5, 1.0)),
        across,
        1 - down,
        np.hypot(across - 0.5, down - 0.5),
        np.sin(across * 40) / 2 + 0.5,
        np.sign(np.sin(across * 70) * np.sin(down * 70)) / 2 + 0.5,
    ]
    tints = np.array([1.0, 0.8, 0.6])
    plain = [np.clip(grey, 0, 1)[..., np.newaxis] * np.roll(tints, turn) for turn, grey in enumerate(greys)]
    return np.stack([(picture * 255).astype(np.uint8) for picture in [*plain, *_noises(crop)]])


def _noises(crop: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Return coloured noise whose grain grows from one pixel on, as textures and shapes do."""
    random = np.random.default_rng(0)
    noises = []
    for number in range(NOISES):
        grain = min(2**number, crop)
        cells = random.random((-(-crop // grain), -(-crop // grain), 3))
        noises.append(cells.repeat(grain, axis=0).repeat(grain, axis=1)[:crop, :crop])
    return noises
