"""Weather seen near: dew, frost, glaze, hail, rime."""

import numpy as np

from modelkit.backdrops import blurred, foliage, landscape, leaf, sky, street, surface
from modelkit.canvas import (
    Ball,
    Pixels,
    Segment,
    blend,
    blur_pixels,
    branches,
    fractal,
    noise,
    polygons,
    strokes,
)


def dew(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Clear round drops on leaves, grass, webs or a pane."""
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
    """A spider's threads, and the places of the drops on them [count, 2]."""
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
    """Ice ferns on a pane, or leaves and grass whose edges are white with crystals."""
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
    """A curved stem with barbs at about sixty degrees, each with smaller ones."""
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
    """Bare branches that enter from a side or from below."""
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
    """Twigs in a clear coat of ice, with highlights and icicles."""
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
    """Trees and bushes thick with white feathers of ice."""
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
    """Opaque balls of ice on grass, soil, a road or a roof."""
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
