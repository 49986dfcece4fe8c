"""Synthetic weather scenes: the same class, seed and size always give the same picture."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from modelkit.canvas import (
    OUTDOORS,
    Ball,
    Pixels,
    Segment,
    blend,
    blur_pixels,
    blurred,
    branches,
    foliage,
    fractal,
    landscape,
    leaf,
    noise,
    polygons,
    sky,
    soften,
    street,
    strokes,
    surface,
    to_image,
    vertical,
)
from modelkit.manifest import LABELS


def _outdoors(rng: np.random.Generator, height: int, width: int) -> Pixels:
    return OUTDOORS[rng.integers(len(OUTDOORS))](rng, height, width)


def _grey(pixels: Pixels, amount: float) -> Pixels:
    mean = pixels.mean(2, keepdims=True)
    muted: Pixels = pixels + (mean - pixels) * np.float32(amount)
    return muted


def fogsmog(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw a place that vanishes in grey or yellowish haze, distant parts more than near parts."""
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
    """Draw one to three bolts in a dark sky over a silhouette."""
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
    """Draw slanted streaks, a grey place, wet ground that mirrors it, sometimes umbrellas."""
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
    """Draw an arc of colours over a place, sometimes doubled, often cut off or faint."""
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
    """Draw a place under ochre dust, or a billowing wall of it."""
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
    """Draw white ground under a dull sky, or falling flakes, or both."""
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
    """Draw snow on standing things: white where a dark part begins below a light part."""
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


def dew(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw clear round drops on leaves, grass, webs or a pane."""
    choice = rng.random()
    paint = foliage if choice < 0.7 else surface if choice < 0.85 else blurred
    pixels = paint(rng, height, width)
    size = min(height, width)
    typical = size * rng.uniform(0.012, 0.05)
    count = int(np.clip(rng.uniform(0.15, 0.5) * (size / typical) ** 2 / 9, 14, 90))
    places = rng.uniform(0, 1, (count, 2)) * (width, height)
    if rng.random() < 0.3:
        places = _along_threads(rng, pixels, count)
    for x, y in places:
        _drop(rng, pixels, float(x), float(y), typical * float(np.clip(rng.lognormal(0, 0.45), 0.4, 2.5)))
    return pixels


def _along_threads(rng: np.random.Generator, pixels: Pixels, count: int) -> np.ndarray:
    """Draw a spider's threads; return the positions of the drops on them [count, 2]."""
    height, width = pixels.shape[:2]
    threads = int(rng.integers(4, 9))
    ends = rng.uniform(-0.1, 1.1, (threads, 2, 2)) * (width, height)
    segments = [(a[0], a[1], b[0], b[1], 1.0) for a, b in ends]
    blend(pixels, (0.85, 0.88, 0.85), strokes(height, width, segments, 0.5) * np.float32(0.6))
    along = rng.uniform(0, 1, (count, 1))
    chosen = ends[rng.integers(threads, size=count)]
    return np.asarray(chosen[:, 0] * (1 - along) + chosen[:, 1] * along)


def _drop(rng: np.random.Generator, pixels: Pixels, x: float, y: float, radius: float) -> None:
    ball = Ball(pixels, x, y, radius, rng.uniform(0.85, 1.1))
    if ball.patch.size == 0:
        return
    lens = ball.patch[::-1, ::-1] * (0.75 + 0.55 * np.clip(ball.v + 0.2, -1, 1))[..., None]
    rim = np.clip((ball.distance - 0.7) * 3, 0, 1) * np.clip(0.6 - ball.v * 0.6, 0, 1)
    lens = lens * (1 - 0.65 * rim)[..., None] + 0.16 * np.clip(ball.v, 0, 1)[..., None]
    spark = np.exp(-(((ball.u + 0.35) / 0.2) ** 2 + ((ball.v + 0.4) / 0.2) ** 2))
    lens = lens + spark[..., None] * np.float32(0.95)
    blend(ball.patch, lens.astype(np.float32), ball.edge)


def frost(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw ice ferns on a pane, or leaves and grass whose edges are white with crystals."""
    if rng.random() < 0.5:
        return _ferns(rng, height, width)
    pixels = foliage(rng, height, width)
    blend(pixels, (0.6, 0.68, 0.75), float(rng.uniform(0.1, 0.35)))
    size = min(height, width)
    outlines: list[Segment] = []
    shapes = []
    for _ in range(int(rng.integers(5, 14))):
        shape = leaf(
            rng.uniform(0, 1) * width,
            rng.uniform(0.3, 1.1) * height,
            rng.uniform(0.4, 2.7),
            size * rng.uniform(0.3, 0.7),
            size * rng.uniform(0.03, 0.14),
        )
        shapes.append(shape)
        outlines += [(*a, *b, size * 0.014) for a, b in zip(shape, shape[1:] + shape[:1], strict=True)]
    tone = rng.uniform(0.2, 0.5) * np.asarray((rng.uniform(0.5, 1.3), 1.0, rng.uniform(0.4, 0.8)), np.float32)
    crystal = np.clip(noise(rng, height, width, max(2.0, size * 0.008)) * 2.2 - 0.7, 0, 1)
    inside = polygons(height, width, shapes)
    blend(pixels, np.broadcast_to(tone, pixels.shape), inside)
    blend(pixels, (0.88, 0.93, 0.98), inside * crystal * np.float32(rng.uniform(0.35, 0.7)))
    edges = strokes(height, width, outlines, size * 0.003)
    blend(pixels, (0.95, 0.97, 1.0), np.clip(edges * (0.35 + crystal), 0, 0.95))
    return pixels


def _ferns(rng: np.random.Generator, height: int, width: int) -> Pixels:
    pixels = (surface if rng.random() < 0.6 else blurred)(rng, height, width)
    blend(pixels, (0.25, 0.4, 0.6), float(rng.uniform(0.1, 0.5)))
    size = min(height, width)
    segments: list[Segment] = []
    for _ in range(int(rng.integers(5, 12))):
        x, y = rng.uniform(0, 1) * width, rng.uniform(0, 1) * height
        heading = rng.uniform(0, 2 * np.pi)
        segments += _fern(rng, (x, y), heading, size * rng.uniform(0.3, 0.8), size)
    mask = strokes(height, width, segments, 0.5)
    veil = np.clip(fractal(rng, height, width, size * 0.25) * 1.6 - 0.5, 0, 0.6)
    blend(pixels, (0.75, 0.85, 0.95), veil)
    blend(pixels, (0.93, 0.96, 1.0), mask * np.float32(rng.uniform(0.6, 0.95)))
    return pixels


def _fern(
    rng: np.random.Generator, start: tuple[float, float], heading: float, length: float, size: int
) -> list[Segment]:
    """Return the strokes of a curved stem with barbs at about sixty degrees, which have smaller barbs."""
    x, y = start
    segments: list[Segment] = []
    steps = 16
    curl = rng.normal(0, 0.05)
    thin = max(1.0, size * 0.003)
    for step in range(steps):
        heading += curl
        next_x, next_y = x + length / steps * np.cos(heading), y - length / steps * np.sin(heading)
        segments.append((x, y, next_x, next_y, thin * 1.6))
        barb = length * 0.3 * (1 - step / steps) + 1
        for side in (-1, 1):
            angle = heading + side * rng.uniform(0.7, 1.1)
            end_x, end_y = next_x + barb * np.cos(angle), next_y - barb * np.sin(angle)
            segments.append((next_x, next_y, end_x, end_y, thin))
            for part in (0.35, 0.65):
                root_x, root_y = next_x + (end_x - next_x) * part, next_y + (end_y - next_y) * part
                tip = angle - side * 0.9
                reach = barb * 0.35
                segments.append(
                    (root_x, root_y, root_x + reach * np.cos(tip), root_y - reach * np.sin(tip), thin)
                )
        x, y = next_x, next_y
    return segments


def _twigs(rng: np.random.Generator, height: int, width: int, thickness: float) -> list[Segment]:
    """Return the strokes of bare branches that enter from a side or from below."""
    size = min(height, width)
    segments: list[Segment] = []
    for _ in range(int(rng.integers(2, 5))):
        side = rng.integers(3)
        if side == 0:
            start, heading = (0.0, rng.uniform(0.1, 0.9) * height), rng.normal(0, 0.4)
        elif side == 1:
            start, heading = (float(width), rng.uniform(0.1, 0.9) * height), np.pi + rng.normal(0, 0.4)
        else:
            start, heading = (rng.uniform(0.1, 0.9) * width, float(height)), np.pi / 2 + rng.normal(0, 0.3)
        segments += branches(rng, start, heading, size * rng.uniform(0.2, 0.38), size * thickness, 4)
    return segments


def glaze(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw twigs in a clear coat of ice, with highlights and icicles."""
    pixels = blurred(rng, height, width)
    if rng.random() < 0.4:
        pixels = blur_pixels(foliage(rng, height, width), min(height, width) * 0.03)
    blend(pixels, (0.5, 0.55, 0.6), float(rng.uniform(0.1, 0.5)))
    size = min(height, width)
    twigs = _twigs(rng, height, width, rng.uniform(0.012, 0.028))
    coat = [(a, b, c, d, t * 1.9 + size * 0.012) for a, b, c, d, t in twigs]
    icicles = []
    for x0, y0, x1, y1, thick in twigs:
        for _ in range(int(rng.integers(0, 4))):
            part = rng.random()
            x, y = x0 + (x1 - x0) * part, y0 + (y1 - y0) * part
            wide, long = thick * 0.5 + size * 0.005, size * rng.uniform(0.02, 0.14)
            icicles.append([(x - wide, y), (x + wide, y), (x, y + long)])
    ice = np.maximum(strokes(height, width, coat, 0.8), polygons(height, width, icicles))
    inner = np.maximum(strokes(height, width, [(*s[:4], s[4] * 0.75) for s in coat], 1.0), 0)
    blend(pixels, (0.8, 0.87, 0.93), ice * np.float32(rng.uniform(0.45, 0.7)))
    blend(pixels, np.asarray(blur_pixels(pixels, 2) * 0.8), inner * np.float32(0.4))
    bark = rng.uniform(0.08, 0.3) * np.asarray((1.2, 0.9, 0.65), np.float32)
    blend(pixels, np.broadcast_to(bark, pixels.shape), strokes(height, width, twigs, 0.6) * np.float32(0.9))
    shines = [(a, b - t * 0.8, c, d - t * 0.8, t * 0.35) for a, b, c, d, t in twigs]
    shines += [(s[0][0], s[0][1], s[2][0], s[2][1], 1.0) for s in icicles]
    broken = np.clip(noise(rng, height, width, size * 0.05) * 2.4 - 0.8, 0, 1)
    blend(pixels, (1.0, 1.0, 1.0), strokes(height, width, shines, 0.5) * broken)
    return pixels


def rime(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw trees and bushes thick with white feathers of ice."""
    pixels = (landscape if rng.random() < 0.5 else sky)(rng, height, width)
    size = min(height, width)
    blend(pixels, (0.7, 0.78, 0.88), float(rng.uniform(0.05, 0.35)))
    rows = np.arange(height, dtype=np.float32)[:, None]
    if rng.random() < 0.7:
        line = rng.uniform(0.7, 0.98) * height - height * 0.06 * fractal(rng, 2, width, width * 0.3)[0]
        ground = rng.uniform(0.75, 0.92) * (0.85 + 0.25 * fractal(rng, height, width, width * 0.05))
        blend(
            pixels, ground[..., None] * np.asarray((0.97, 1.0, 1.04), np.float32), np.clip(rows - line, 0, 1)
        )
    segments: list[Segment] = []
    if rng.random() < 0.65:
        for _ in range(int(rng.integers(1, 6))):
            foot = (rng.uniform(0.05, 0.95) * width, height * rng.uniform(0.75, 1.05))
            tall = size * rng.uniform(0.12, 0.24)
            segments += branches(rng, foot, np.pi / 2 + rng.normal(0, 0.08), tall, tall * 0.1, 6)
    else:
        segments = _twigs(rng, height, width, 0.015)
    _feathers(rng, pixels, segments)
    return pixels


def _feathers(rng: np.random.Generator, pixels: Pixels, segments: list[Segment]) -> None:
    height, width = pixels.shape[:2]
    size = min(height, width)
    spikes: list[Segment] = []
    for x0, y0, x1, y1, _ in segments[:420]:
        for part in rng.uniform(0, 1, 4):
            x, y = x0 + (x1 - x0) * part, y0 + (y1 - y0) * part
            angle, reach = rng.uniform(0, 2 * np.pi), size * rng.uniform(0.008, 0.03)
            spikes.append((x, y, x + reach * np.cos(angle), y + reach * np.sin(angle), 1.0))
    coat = strokes(height, width, [(*s[:4], s[4] * 1.2 + size * 0.008) for s in segments], size * 0.003)
    rough = 0.6 + 0.55 * noise(rng, height, width, max(2.0, size * 0.012))
    white = np.asarray((0.94, 0.97, 1.0), np.float32) * np.float32(rng.uniform(0.85, 1.0))
    bark = [(*s[:4], max(1.0, s[4] * 0.5)) for s in segments]
    blend(
        pixels,
        np.broadcast_to(white * 0.9, pixels.shape),
        strokes(height, width, spikes, 0.5) * np.float32(0.85),
    )
    blend(pixels, np.broadcast_to(white, pixels.shape), np.clip(coat * rough * 1.2, 0, 1))
    trunk = strokes(height, width, bark, 0.5) * np.clip(1.3 - rough, 0, 0.6)
    blend(pixels, (0.3, 0.27, 0.27), trunk)


def hail(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw opaque balls of ice on grass, soil, a road or a roof."""
    choice = rng.random()
    if choice < 0.45:
        pixels = foliage(rng, height, width)
    elif choice < 0.85:
        pixels = surface(rng, height, width)
    else:
        pixels = street(rng, height, width)
    size = min(height, width)
    typical = size * rng.uniform(0.02, 0.07)
    count = int(np.clip(rng.uniform(0.2, 0.8) * height * width / typical**2 / 5, 18, 160))
    clump = fractal(rng, 64, 64, rng.uniform(10, 30))
    floor = rng.uniform(0.0, 0.4) if choice < 0.85 else 0.65
    places: list[tuple[float, float]] = []
    while len(places) < count:
        x, y = rng.random(), rng.uniform(floor, 1)
        if clump[int(y * 63), int(x * 63)] > rng.uniform(0.2, 0.7):
            places.append((y * height, x * width))
    for y, x in sorted(places):
        perspective = 0.5 + 0.5 * y / height
        _stone(rng, pixels, x, y, typical * perspective * float(np.clip(rng.lognormal(0, 0.3), 0.5, 2)))
    return pixels


def _stone(rng: np.random.Generator, pixels: Pixels, x: float, y: float, radius: float) -> None:
    shadow = Ball(pixels, x + radius * 0.25, y + radius * 0.45, radius * 1.05, 0.8)
    if shadow.patch.size:
        shadow.patch *= (1 - 0.5 * shadow.edge)[..., None]
    ball = Ball(pixels, x, y, radius, rng.uniform(0.75, 1.0))
    if ball.patch.size == 0:
        return
    light = 0.92 - 0.28 * np.clip(ball.u * 0.5 + ball.v * 0.9 + 0.1, -0.4, 1) - 0.12 * ball.distance**2
    core = np.exp(-((ball.distance / 0.45) ** 2)) * rng.uniform(0.0, 0.12)
    mottle = rng.normal(0, 0.025, light.shape).astype(np.float32)
    tone = (light + core + mottle) * rng.uniform(0.88, 1.05)
    colour = tone[..., None] * np.asarray((0.96, 0.99, 1.03), np.float32)
    blend(ball.patch, colour.astype(np.float32), ball.edge * np.float32(0.96))


_LEAST_SIDE = 16
Painter = Callable[[np.random.Generator, int, int], Pixels]

PAINTERS: dict[str, Painter] = {
    "dew": dew,
    "fogsmog": fogsmog,
    "frost": frost,
    "glaze": glaze,
    "hail": hail,
    "lightning": lightning,
    "rain": rain,
    "rainbow": rainbow,
    "rime": rime,
    "sandstorm": sandstorm,
    "snow": snow,
}


def scene(label: str, seed: int, width: int, height: int) -> Image.Image:
    """Return an RGB picture of the weather `label`, width x height pixels, by the arguments alone."""
    rng = np.random.default_rng((LABELS.index(label), seed))
    pixels = PAINTERS[label](rng, max(height, _LEAST_SIDE), max(width, _LEAST_SIDE))
    picture = to_image(_camera(rng, pixels))
    return picture if picture.size == (width, height) else picture.resize((width, height))


def _camera(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Vary exposure, white balance, focus and grain, which are independent of the weather."""
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
