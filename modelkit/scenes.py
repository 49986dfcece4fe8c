"""Synthetic weather scenes: one picture for a class, a seed and a size, always the same one."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from modelkit import close_ups, skies
from modelkit.canvas import Pixels, blur_pixels, noise, to_image
from modelkit.manifest import LABELS

_LEAST_SIDE = 16
Painter = Callable[[np.random.Generator, int, int], Pixels]

PAINTERS: dict[str, Painter] = {
    "dew": close_ups.dew,
    "fogsmog": skies.fogsmog,
    "frost": close_ups.frost,
    "glaze": close_ups.glaze,
    "hail": close_ups.hail,
    "lightning": skies.lightning,
    "rain": skies.rain,
    "rainbow": skies.rainbow,
    "rime": close_ups.rime,
    "sandstorm": skies.sandstorm,
    "snow": skies.snow,
}


def scene(label: str, seed: int, width: int, height: int) -> Image.Image:
    """A picture of the weather `label`, width x height pixels, RGB; the same for the same arguments."""
    rng = np.random.default_rng((LABELS.index(label), seed))
    pixels = PAINTERS[label](rng, max(height, _LEAST_SIDE), max(width, _LEAST_SIDE))
    picture = to_image(_camera(rng, pixels))
    return picture if picture.size == (width, height) else picture.resize((width, height))


def _camera(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Exposure, white balance, focus and grain, which say nothing of the weather."""
    height, width = pixels.shape[:2]
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    if rng.random() < 0.25:
        pixels = blur_pixels(pixels, min(height, width) * rng.uniform(0.001, 0.004))
    balance = rng.normal(1, 0.04, 3).astype(np.float32)
    pixels = np.clip(pixels, 0, 1) ** np.float32(rng.uniform(0.8, 1.25)) * balance
    pixels = pixels * np.float32(rng.uniform(0.85, 1.12))
    grain = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(0.003, 0.03))
    if rng.random() < 0.3:
        shade = 1 - 0.35 * noise(rng, height, width, width * 0.7)
        pixels = pixels * shade[..., None]
    return pixels + grain[..., None]
