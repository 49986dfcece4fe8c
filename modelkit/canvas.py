"""Drawing on float arrays: noise, gradients, masks, balls. Colours and pixels run from 0 to 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.floating[Any]]
Colour = Sequence[float] | Pixels
Segment = tuple[float, float, float, float, float]
"""A stroke: x0, y0, x1, y1 and its width in pixels."""


def noise(rng: np.random.Generator, height: int, width: int, cell: float) -> Pixels:
    """Smooth noise [height, width] in 0..1 whose features are about `cell` pixels wide."""
    rows, columns = max(2, int(height / cell) + 2), max(2, int(width / cell) + 2)
    grid = Image.fromarray(rng.random((rows, columns), dtype=np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC), np.float32)


def fractal(rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 3) -> Pixels:
    """Noise over several octaves [height, width], about 0..1, mean one half."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        total += noise(rng, height, width, max(2.0, cell / 2**octave)) * 0.5**octave
    return total / np.float32(2 - 0.5 ** (octaves - 1))


def blend(pixels: Pixels, colour: Colour, mask: Pixels | float) -> None:
    """Mix `colour` into pixels [h, w, 3] in place; mask [h, w] in 0..1 says how much."""
    weight = mask[..., None] if isinstance(mask, np.ndarray) else np.float32(mask)
    pixels += (np.asarray(colour, np.float32) - pixels) * weight


def vertical(height: int, width: int, top: Colour, bottom: Colour, power: float = 1.0) -> Pixels:
    """A gradient [height, width, 3] from the top colour to the bottom one."""
    t = (np.linspace(0, 1, height, dtype=np.float32) ** np.float32(power))[:, None]
    column = np.asarray(top, np.float32) * (1 - t) + np.asarray(bottom, np.float32) * t
    return np.repeat(column[:, None, :], width, axis=1)


def strokes(height: int, width: int, segments: Sequence[Segment], blur: float = 0.6) -> Pixels:
    """The mask [height, width] of straight strokes, softened by `blur` pixels."""
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    for x0, y0, x1, y1, thickness in segments:
        draw.line((x0, y0, x1, y1), fill=255, width=max(1, round(thickness)))
    return soften(image, blur)


def polygons(
    height: int, width: int, shapes: Sequence[Sequence[tuple[float, float]]], blur: float = 0.6
) -> Pixels:
    """The mask [height, width] of filled polygons, softened by `blur` pixels."""
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        draw.polygon(list(shape), fill=255)
    return soften(image, blur)


def soften(image: Image.Image, blur: float) -> Pixels:
    """An 8-bit mask as floats [h, w] in 0..1, blurred by `blur` pixels."""
    if blur > 0:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(image, np.float32) / np.float32(255)


def blur_pixels(pixels: Pixels, radius: float) -> Pixels:
    """Pixels [h, w, 3] out of focus by `radius` pixels."""
    image = to_image(pixels).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, np.float32) / np.float32(255)


def to_image(pixels: Pixels) -> Image.Image:
    """Pixels [h, w, 3] as an RGB image."""
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


class Ball:
    """A disc's patch of a picture, with coordinates that run from -1 to 1 across it."""

    __slots__ = ("distance", "edge", "patch", "u", "v")

    def __init__(self, pixels: Pixels, x: float, y: float, radius: float, flatten: float = 1.0) -> None:
        height, width = pixels.shape[:2]
        tall = max(radius * flatten, 1.0)
        top, left = max(0, int(y - tall)), max(0, int(x - radius))
        bottom = max(top, min(height, int(y + tall) + 2))
        right = max(left, min(width, int(x + radius) + 2))
        self.patch = pixels[top:bottom, left:right]
        self.u = ((np.arange(left, right, dtype=np.float32) - x) / max(radius, 1.0))[None, :]
        self.v = ((np.arange(top, bottom, dtype=np.float32) - y) / tall)[:, None]
        self.distance = np.sqrt(self.u**2 + self.v**2)
        self.edge = np.clip((1 - self.distance) * max(radius, 1.0) * 0.8, 0, 1)


def branches(
    rng: np.random.Generator,
    start: tuple[float, float],
    heading: float,
    length: float,
    thickness: float,
    depth: int,
) -> list[Segment]:
    """The strokes of a branching thing (a tree, a bolt, a fern); heading in radians, 0 to the right."""
    pending = [(start[0], start[1], heading, length, thickness, depth)]
    segments: list[Segment] = []
    while pending:
        x, y, angle, reach, width, left = pending.pop()
        end_x, end_y = x + reach * np.cos(angle), y - reach * np.sin(angle)
        segments.append((x, y, end_x, end_y, width))
        if left == 0:
            continue
        for side in (-1, 1) if rng.random() < 0.75 else (-1, 0, 1):
            turn = angle + side * rng.uniform(0.2, 0.7) + rng.normal(0, 0.12)
            pending.append((end_x, end_y, turn, reach * rng.uniform(0.62, 0.86), width * 0.68, left - 1))
    return segments
