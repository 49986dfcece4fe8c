"""Functions that draw on float arrays, and the backdrops of scenes. Colours and pixels run from 0 to 1."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.floating[Any]]
Colour = Sequence[float] | Pixels
Segment = tuple[float, float, float, float, float]
"""A stroke: x0, y0, x1, y1 and the width, all in pixels."""


def noise(rng: np.random.Generator, height: int, width: int, cell: float) -> Pixels:
    """Return smooth noise [height, width] in 0..1 whose features are about `cell` pixels wide."""
    rows, columns = max(2, int(height / cell) + 2), max(2, int(width / cell) + 2)
    grid = Image.fromarray(rng.random((rows, columns), dtype=np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC), np.float32)


def fractal(rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 3) -> Pixels:
    """Return noise over several octaves [height, width], about 0..1, mean one half."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        total += noise(rng, height, width, max(2.0, cell / 2**octave)) * 0.5**octave
    return total / np.float32(2 - 0.5 ** (octaves - 1))


def blend(pixels: Pixels, colour: Colour, mask: Pixels | float) -> None:
    """Mix `colour` into pixels [h, w, 3] in place; mask [h, w] in 0..1 is the share of the colour."""
    weight = mask[..., None] if isinstance(mask, np.ndarray) else np.float32(mask)
    pixels += (np.asarray(colour, np.float32) - pixels) * weight


def vertical(height: int, width: int, top: Colour, bottom: Colour, power: float = 1.0) -> Pixels:
    """Return a gradient [height, width, 3] from the colour `top` to the colour `bottom`."""
    t = (np.linspace(0, 1, height, dtype=np.float32) ** np.float32(power))[:, None]
    column = np.asarray(top, np.float32) * (1 - t) + np.asarray(bottom, np.float32) * t
    return np.repeat(column[:, None, :], width, axis=1)


def strokes(height: int, width: int, segments: Sequence[Segment], blur: float = 0.6) -> Pixels:
    """Draw the mask [height, width] of straight strokes, softened by `blur` pixels."""
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    for x0, y0, x1, y1, thickness in segments:
        draw.line((x0, y0, x1, y1), fill=255, width=max(1, round(thickness)))
    return soften(image, blur)


def polygons(
    height: int, width: int, shapes: Sequence[Sequence[tuple[float, float]]], blur: float = 0.6
) -> Pixels:
    """Draw the mask [height, width] of filled polygons, softened by `blur` pixels."""
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        draw.polygon(list(shape), fill=255)
    return soften(image, blur)


def soften(image: Image.Image, blur: float) -> Pixels:
    """Return an 8-bit mask as floats [h, w] in 0..1, blurred by `blur` pixels."""
    if blur > 0:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(image, np.float32) / np.float32(255)


def blur_pixels(pixels: Pixels, radius: float) -> Pixels:
    """Return pixels [h, w, 3] out of focus by `radius` pixels."""
    image = to_image(pixels).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, np.float32) / np.float32(255)


def to_image(pixels: Pixels) -> Image.Image:
    """Return pixels [h, w, 3] as an RGB image."""
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


class Ball:
    """The patch of a picture that holds a disc, with coordinates from -1 to 1 across it."""

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
    """Return the strokes of a branching shape (tree, bolt, fern); heading in radians, 0 to the right."""
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


_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((0.25, 0.48, 0.82), (0.72, 0.84, 0.95)),
    ((0.45, 0.6, 0.78), (0.85, 0.86, 0.85)),
    ((0.55, 0.58, 0.62), (0.75, 0.76, 0.78)),
    ((0.32, 0.35, 0.4), (0.6, 0.62, 0.65)),
    ((0.35, 0.3, 0.5), (0.95, 0.62, 0.4)),
    ((0.05, 0.07, 0.16), (0.18, 0.2, 0.32)),
)
_GROUNDS: tuple[Colour, ...] = (
    (0.25, 0.38, 0.14),
    (0.4, 0.45, 0.2),
    (0.42, 0.34, 0.22),
    (0.3, 0.3, 0.27),
    (0.55, 0.5, 0.36),
    (0.16, 0.26, 0.14),
)


def sky(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw a sky of any hour, with clouds or without."""
    top, bottom = _SKIES[rng.integers(len(_SKIES))]
    pixels = vertical(height, width, top, bottom, rng.uniform(0.6, 1.5))
    pixels *= np.float32(rng.uniform(0.75, 1.1))
    clouds = np.clip(fractal(rng, height, width, width / rng.uniform(2, 6)) * 2 - rng.uniform(0.6, 1.4), 0, 1)
    blend(pixels, [rng.uniform(0.55, 1.0)] * 3, clouds * np.float32(rng.uniform(0.2, 0.9)))
    return pixels


def ridge(rng: np.random.Generator, width: int, base: float, relief: float, cell: float) -> Pixels:
    """Return a skyline: for each column [width], its distance in pixels from the picture's top."""
    line: Pixels = base - relief * fractal(rng, 2, width, cell, 4)[0]
    return line


def landscape(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw sky, two or three ridges, and ground with a texture."""
    pixels = sky(rng, height, width)
    rows = np.arange(height, dtype=np.float32)[:, None]
    ground = np.asarray(_GROUNDS[rng.integers(len(_GROUNDS))], np.float32)
    horizon = rng.uniform(0.4, 0.8) * height
    layers = int(rng.integers(2, 4))
    for layer in range(layers):
        near = (layer + 1) / layers
        base = horizon + (layer - layers + 1) * height * 0.06
        line = ridge(rng, width, base, height * rng.uniform(0.05, 0.3) * (1.2 - near), width * 0.4)
        mask = np.clip(rows - line[None, :], 0, 1)
        tint = ground * near + pixels[: max(1, height // 3)].mean((0, 1)) * (1 - near)
        grain = 0.7 + 0.6 * fractal(rng, height, width, max(3.0, width * 0.04 * near))
        blend(pixels, tint * grain[..., None], mask)
    if rng.random() < 0.5:
        _trees(rng, pixels, horizon)
    return pixels


def _trees(rng: np.random.Generator, pixels: Pixels, horizon: float) -> None:
    height, width = pixels.shape[:2]
    shapes = []
    for _ in range(int(rng.integers(2, 14))):
        x, tall = rng.uniform(0, width), height * rng.uniform(0.06, 0.3)
        foot = horizon + rng.uniform(-0.02, 0.15) * height
        wide = tall * rng.uniform(0.15, 0.4)
        shapes.append([(x - wide, foot), (x, foot - tall), (x + wide, foot)])
    grain = noise(rng, height, width, 3)[..., None] * 0.12
    blend(pixels, np.asarray((0.08, 0.16, 0.08), np.float32) + grain, polygons(height, width, shapes))


def street(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw blocks of houses with windows along a road."""
    pixels = sky(rng, height, width)
    horizon = int(rng.uniform(0.5, 0.75) * height)
    road = np.float32(rng.uniform(0.2, 0.45))
    texture = road * (0.85 + 0.3 * fractal(rng, height, width, max(3.0, width * 0.05)))
    pixels[horizon:] = texture[horizon:, :, None] * np.asarray((1, 1, 1.03), np.float32)
    x = -int(rng.uniform(0, 0.1) * width)
    lit = pixels[:horizon].mean() < 0.35
    while x < width:
        wide = max(1, int(rng.uniform(0.1, 0.3) * width))
        _house(rng, pixels, (x, wide), int(horizon * rng.uniform(0.15, 0.75)), horizon, bool(lit))
        x += wide + int(rng.uniform(0, 0.08) * width)
    middle, lane = rng.uniform(0.3, 0.7) * width, rng.uniform(0.005, 0.02) * width
    shape = [(middle, horizon), (middle - 3 * lane, height), (middle + 3 * lane, height)]
    blend(pixels, (0.8, 0.8, 0.7), polygons(height, width, [shape]) * np.float32(rng.uniform(0, 0.8)))
    return pixels


def _house(
    rng: np.random.Generator, pixels: Pixels, span: tuple[int, int], top: int, bottom: int, lit: bool
) -> None:
    left, right = max(0, span[0]), max(0, span[0] + span[1])
    wall = rng.uniform(0.2, 0.7) * np.asarray(rng.uniform(0.7, 1.1, 3), np.float32)
    pixels[top:bottom, left:right] = wall * (0.35 if lit else 1.0)
    step = max(4, int(span[1] / rng.integers(3, 6)))
    for y in range(top + step // 2, bottom - step // 2, step):
        for x in range(left + step // 3, right - step // 3, step):
            glow = lit and rng.random() < 0.5
            pane = (0.95, 0.8, 0.45) if glow else (0.18, 0.22, 0.28)
            pixels[y : y + step // 2, x : x + step // 2] = pane


def foliage(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw grass blades or leaves, close up, sharp in front and blurred behind."""
    hue = np.asarray(rng.choice(((0.2, 0.42, 0.1), (0.3, 0.45, 0.18), (0.45, 0.36, 0.12), (0.14, 0.3, 0.16))))
    pixels = (hue * rng.uniform(0.4, 1.0)).astype(np.float32) * (
        0.5 + fractal(rng, height, width, width * 0.15)[..., None]
    )
    size = min(height, width)
    broad = rng.uniform(0.01, 0.09)
    lean = rng.normal(0, 0.5)
    for layer in range(3):
        shapes = []
        for _ in range(int(rng.integers(8, 22))):
            x, y = rng.uniform(-0.1, 1.1) * width, rng.uniform(0.2, 1.2) * height
            angle = np.pi / 2 + lean + rng.normal(0, 0.5)
            long, wide = size * rng.uniform(0.3, 0.9), size * broad * rng.uniform(0.5, 1.5)
            shapes.append(leaf(x, y, angle, long, wide))
        tone = (hue * rng.uniform(0.6, 1.7)).astype(np.float32)
        shade = 0.75 + 0.5 * noise(rng, height, width, max(3.0, size * 0.05))
        blend(
            pixels, tone * shade[..., None], polygons(height, width, shapes, size * 0.012 * (2 - layer) + 0.5)
        )
    return pixels


def leaf(x: float, y: float, angle: float, long: float, wide: float) -> list[tuple[float, float]]:
    """Return the outline of a leaf that grows from (x, y) along `angle` radians."""
    along = np.asarray((0, 0.25, 0.55, 0.85, 1, 0.85, 0.55, 0.25)) * long
    across = np.asarray((0.3, 0.85, 1, 0.45, 0, -0.45, -1, -0.85)) * wide
    xs = x + along * np.cos(angle) - across * np.sin(angle)
    ys = y - along * np.sin(angle) - across * np.cos(angle)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def blurred(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Return the background of a close-up: shapes out of focus."""
    of = OUTDOORS[rng.integers(len(OUTDOORS))](rng, height, width)
    return blur_pixels(of, min(height, width) * rng.uniform(0.02, 0.07))


def surface(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Return a plain surface seen from above or near: glass, stone, a car's bonnet, soil."""
    tone = rng.uniform(0.08, 0.55) * np.asarray(rng.uniform(0.7, 1.25, 3), np.float32)
    pixels = vertical(height, width, tone, tone * rng.uniform(0.6, 1.5), 1.0)
    pixels *= 0.75 + 0.5 * fractal(rng, height, width, width * rng.uniform(0.02, 0.4))[..., None]
    return pixels


Backdrop = Callable[[np.random.Generator, int, int], Pixels]
OUTDOORS: tuple[Backdrop, ...] = (landscape, street)
