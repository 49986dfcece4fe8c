"""Weather seen at a distance: fog, lightning, rain, rainbows, sandstorms, snow."""

import numpy as np
from PIL import Image, ImageDraw

from modelkit.backdrops import OUTDOORS, foliage, landscape, street
from modelkit.canvas import (
    Pixels,
    Segment,
    blend,
    blur_pixels,
    branches,
    fractal,
    noise,
    polygons,
    soften,
    strokes,
    vertical,
)


def _outdoors(rng: np.random.Generator, height: int, width: int) -> Pixels:
    return OUTDOORS[rng.integers(len(OUTDOORS))](rng, height, width)


def _grey(pixels: Pixels, amount: float) -> Pixels:
    mean = pixels.mean(2, keepdims=True)
    muted: Pixels = pixels + (mean - pixels) * np.float32(amount)
    return muted


def fogsmog(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """A place that vanishes in grey or yellowish haze, the farther the more."""
    pixels = _grey(_outdoors(rng, height, width), rng.uniform(0.3, 0.8))
    level, warm = rng.uniform(0.45, 0.85), rng.uniform(-0.02, 0.05)
    haze = (level + warm, level + warm * 0.6, level - warm)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    deep = rng.uniform(0.35, 0.7)
    depth = np.clip(1 - np.maximum(rows - deep, 0) / (1 - deep), 0, 1)
    thick = rng.uniform(0.72, 0.95) * (0.35 + 0.65 * depth)
    drift = 0.85 + 0.25 * fractal(rng, height, width, width * rng.uniform(0.3, 0.8))
    blend(pixels, haze, np.clip(thick * drift, 0, 0.98).astype(np.float32))
    return blur_pixels(pixels, min(height, width) * rng.uniform(0.002, 0.008))


def lightning(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """One to three bolts in a dark sky over a silhouette."""
    tint = np.asarray(
        ((0.16, 0.13, 0.3), (0.08, 0.12, 0.24), (0.2, 0.2, 0.24), (0.26, 0.14, 0.22))[rng.integers(4)]
    )
    pixels = vertical(height, width, tint * rng.uniform(0.3, 1.2), tint * rng.uniform(0.8, 2.0))
    pixels *= 0.5 + fractal(rng, height, width, width * rng.uniform(0.15, 0.5))[..., None]
    ground = rng.uniform(0.72, 0.95) * height
    bolts: list[Segment] = []
    size = min(height, width)
    for _ in range(int(rng.integers(1, 4))):
        bolts += _bolt(rng, (rng.uniform(0.12, 0.88) * width, rng.uniform(-0.05, 0.2) * height), ground, size)
    core = strokes(height, width, bolts, 0.5)
    colour = np.asarray((0.75, 0.7, 1.0)) + rng.uniform(0, 0.25, 3)
    small = Image.fromarray((core * 255).astype(np.uint8)).reduce(4)
    near = soften(small, size * 0.004).astype(np.float32)
    glow = np.asarray(Image.fromarray(near).resize((width, height), Image.Resampling.BILINEAR))
    far = soften(small, size * 0.025)
    wide = np.asarray(Image.fromarray(far).resize((width, height), Image.Resampling.BILINEAR))
    pixels += (
        (np.clip(glow * 1.2, 0, 0.8) + np.clip(wide * 2.5, 0, 0.6))[..., None]
        * colour.astype(np.float32)
        * 0.6
    )
    blend(pixels, (1.0, 0.98, 1.0), np.clip(core * 1.4, 0, 1))
    line = ground - height * 0.12 * fractal(rng, 2, width, width * 0.15, 4)[0]
    rows = np.arange(height, dtype=np.float32)[:, None]
    blend(pixels, tint * 0.15, np.clip(rows - line[None, :], 0, 1))
    return pixels


def _bolt(rng: np.random.Generator, start: tuple[float, float], ground: float, size: int) -> list[Segment]:
    x, y = start
    thick = size * rng.uniform(0.006, 0.014)
    lean = rng.normal(0, 0.35)
    segments: list[Segment] = []
    while y < ground:
        step = size * rng.uniform(0.015, 0.05)
        next_x, next_y = x + step * (lean + rng.normal(0, 0.9)), y + step
        segments.append((x, y, next_x, next_y, thick))
        if rng.random() < 0.14:
            heading = -np.pi / 2 + rng.choice((-1, 1)) * rng.uniform(0.3, 1.0)
            segments += branches(rng, (x, y), heading, size * rng.uniform(0.05, 0.1), thick * 0.5, 3)
        x, y = next_x, next_y
    return segments


def rain(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Slanted streaks, a grey place, wet ground that mirrors it, sometimes umbrellas."""
    pixels = _grey((foliage if rng.random() < 0.2 else _outdoors)(rng, height, width), rng.uniform(0.3, 0.7))
    pixels *= np.float32(rng.uniform(0.5, 0.8))
    blend(pixels, (0.45, 0.48, 0.52), float(rng.uniform(0.05, 0.3)))
    size = min(height, width)
    if rng.random() < 0.7:
        _wet(rng, pixels)
    if rng.random() < 0.35:
        _umbrellas(rng, pixels)
    slant = rng.normal(0, 0.25)
    for near in (0, 1):
        count = int(rng.integers(60, 220)) // (1 + 2 * near)
        streaks = []
        for x, y in rng.uniform(-0.1, 1.0, (count, 2)) * (width * 1.1, height * 1.1):
            long = size * rng.uniform(0.03, 0.1) * (1 + near)
            streaks.append((x, y, x + long * slant, y + long, size * 0.003 * (1 + near)))
        mask = strokes(height, width, streaks, 0.5) * np.float32(rng.uniform(0.35, 0.7))
        blend(pixels, (0.85, 0.88, 0.92), mask)
    return pixels


def _wet(rng: np.random.Generator, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    shore = int(rng.uniform(0.6, 0.8) * height)
    depth = height - shore
    mirror = blur_pixels(pixels[shore - depth : shore][::-1], width * 0.012)
    shine = np.clip(fractal(rng, depth, width, width * 0.2) * 2 - 0.5, 0, 1) * np.float32(0.8)
    blend(pixels[shore:], mirror * np.float32(1.1), shine)
    image = Image.new("L", (width, depth))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(8, 40))):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, depth), width * rng.uniform(0.006, 0.03)
        draw.ellipse((x - radius, y - radius * 0.35, x + radius, y + radius * 0.35), outline=255)
    blend(pixels[shore:], (0.85, 0.87, 0.9), soften(image, 0.5) * np.float32(0.55))


def _umbrellas(rng: np.random.Generator, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        x, y, wide = (
            rng.uniform(0.1, 0.9) * width,
            rng.uniform(0.45, 0.75) * height,
            width * rng.uniform(0.05, 0.13),
        )
        angles = np.linspace(0, np.pi, 12)
        roof = [(x + wide * float(np.cos(a)), y - wide * 0.55 * float(np.sin(a))) for a in angles]
        body = [
            (x - wide * 0.22, y),
            (x + wide * 0.22, y),
            (x + wide * 0.16, y + wide * 1.6),
            (x - wide * 0.16, y + wide * 1.6),
        ]
        blend(pixels, (0.08, 0.08, 0.1), polygons(height, width, [body]))
        blend(pixels, rng.uniform(0.05, 0.8, 3).tolist(), polygons(height, width, [roof]))


def rainbow(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """An arc of colours over a place, sometimes doubled, often cut off or faint."""
    pixels = (landscape if rng.random() < 0.75 else street)(rng, height, width)
    size = min(height, width)
    centre_x, centre_y = rng.uniform(0.0, 1.0) * width, rng.uniform(0.7, 1.2) * height
    radius = rng.uniform(0.55, 1.05) * size
    band = size * rng.uniform(0.04, 0.1)
    rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(centre_y)
    columns = np.arange(width, dtype=np.float32)[None, :] - np.float32(centre_x)
    distance = np.sqrt(rows**2 + columns**2)
    fade = 0.65 + 0.5 * noise(rng, height, width, width * 0.5)
    low = rng.uniform(0.55, 0.9) * height
    fade *= np.clip((low - np.arange(height, dtype=np.float32)[:, None]) / (0.08 * height), 0, 1)
    strength = rng.uniform(0.3, 0.8)
    _bow(pixels, (distance - radius) / band, fade * np.float32(strength))
    if rng.random() < 0.35:
        _bow(pixels, (radius + band * 2.6 - distance) / band, fade * np.float32(strength * 0.45))
    return pixels


def _bow(pixels: Pixels, across: Pixels, weight: Pixels) -> None:
    """Add a spectrum where across runs from -0.5 (violet, inside) to 0.5 (red, outside)."""
    envelope = np.clip(1.3 - np.abs(across) * 2, 0, 0.6) / 0.6 * weight
    centres = (0.34, 0.0, -0.3)
    spectrum = np.stack([np.exp(-(((across - centre) / 0.24) ** 2)) for centre in centres], axis=2)
    blend(pixels, pixels * 0.45 + spectrum * np.float32(0.85), envelope)


def sandstorm(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """A place under ochre dust, or a billowing wall of it."""
    pixels = _outdoors(rng, height, width)
    level = rng.uniform(0.5, 0.85)
    dust = np.asarray((1.0, rng.uniform(0.6, 0.78), rng.uniform(0.28, 0.5)), np.float32) * np.float32(level)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    billow = fractal(rng, height, width, width * rng.uniform(0.12, 0.35), 4)
    if rng.random() < 0.5:
        front = rng.uniform(0.08, 0.4) + (fractal(rng, 2, width, width * 0.25, 4)[0][None, :] - 0.5) * 0.4
        mask = np.clip((rows - front) * 14, 0, 1) * np.clip(1.0 - (rows - 0.85) * 2.5, 0, 1)
        blend(pixels, dust, float(rng.uniform(0.25, 0.5)))
        blend(pixels, dust * (0.55 + 0.75 * billow)[..., None], mask * np.float32(rng.uniform(0.85, 0.98)))
    else:
        thick = rng.uniform(0.6, 0.9) * (1.1 - 0.35 * rows)
        mask = np.clip(thick * (0.75 + 0.5 * billow), 0, 0.98)
        blend(pixels, dust * (0.8 + 0.4 * billow)[..., None], mask.astype(np.float32))
    speckle = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(0.0, 0.05))
    pixels += speckle[..., None] * dust
    return pixels


def snow(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """White ground under a dull sky, or falling flakes, or both."""
    pixels = _grey(_outdoors(rng, height, width), rng.uniform(0.2, 0.6))
    falling = rng.random() < 0.75
    if not falling or rng.random() < 0.7:
        rows = np.arange(height, dtype=np.float32)[:, None]
        line = rng.uniform(0.5, 0.8) * height - height * 0.12 * fractal(rng, 2, width, width * 0.4)[0]
        drifts = rng.uniform(0.78, 0.95) * (0.82 + 0.25 * fractal(rng, height, width, width * 0.12))
        blue = np.asarray((0.97, 0.99, 1.04), np.float32)
        blend(
            pixels, drifts[..., None] * blue, np.clip((rows - line[None, :]) * 0.3, 0, 1) * np.float32(0.95)
        )
        _caps(rng, pixels, float(line.min()))
    if falling:
        blend(pixels, (0.7, 0.72, 0.76), float(rng.uniform(0.05, 0.35)))
        _flakes(rng, pixels)
    return pixels


def _caps(rng: np.random.Generator, pixels: Pixels, line: float) -> None:
    """Snow that lies on what stands: white where something dark begins below something light."""
    height = pixels.shape[0]
    shift = max(1, height // 90)
    light = pixels.mean(2)
    drop = np.zeros_like(light)
    drop[shift:] = light[:-shift] - light[shift:]
    mask = np.clip(drop * 6 - 0.3, 0, 1)
    mask[: int(line * 0.3)] = 0
    blend(pixels, (0.95, 0.96, 0.98), mask * np.float32(rng.uniform(0.5, 0.95)))


def _flakes(rng: np.random.Generator, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    size = min(height, width)
    for near in range(3):
        image = Image.new("L", (width, height))
        draw = ImageDraw.Draw(image)
        for x, y in rng.uniform(0, 1, (int(rng.integers(50, 200)) // (1 + near), 2)) * (width, height):
            radius = size * rng.uniform(0.002, 0.006) * (1 + near * 1.2)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        blend(pixels, (0.97, 0.97, 1.0), soften(image, 0.4 + near * size * 0.003) * np.float32(0.9))
