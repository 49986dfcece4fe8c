"""A trend as a small picture: a mark for each run with its interval, a line through comparable runs."""

from collections.abc import Sequence

from markupsafe import Markup

from bench.analysis.trends import TrendPoint, joined
from bench.report import text
from bench.statistics import Estimate

WIDTH, HEIGHT = 300, 120
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 14, 22
# outlines around 0, 0: a shape for each group; after the last the first follows again
SHAPES = (
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z",
    "M-3.6 -3.6H3.6V3.6H-3.6Z",
    "M0 -4.8L4.4 3.4H-4.4Z",
    "M0 -5L5 0L0 5L-5 0Z",
    "M0 4.8L4.4 -3.4H-4.4Z",
)


def letter(group: int) -> str:
    """The name of a group of runs: A to Z, then AA and on."""
    head, tail = divmod(group, 26)
    return (letter(head - 1) if head else "") + chr(ord("A") + tail)


def mark(group: int) -> Markup:
    """A group's mark alone, for a legend."""
    shape = SHAPES[group % len(SHAPES)]
    return Markup(
        '<svg class="shape" width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">'
        '<path d="{}"/></svg>'
    ).format(shape)


def chart(points: Sequence[TrendPoint], runs: int, title: str) -> Markup:
    """One metric of one strategy and case over `runs` runs; the label of the picture has every figure.

    Runs stand side by side at even distances, figures from 0 upwards. A point must be above 0.
    """
    highest = max(_top(point.estimate) for point in points)
    groups = joined(points)
    label = f"{title}: {'; '.join(map(describe, points))}."
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>').format(
        WIDTH,
        HEIGHT,
        label,
        _axes(highest),
        Markup("").join(_line(group, runs, highest) for group in groups if len(group) > 1),
        Markup("").join(_group(group, runs, highest) for group in groups),
    )


def describe(point: TrendPoint) -> str:
    """A point in words: its run, its group, its figure."""
    entry = point.entry
    commit = entry.run.environment.commit or "no commit"
    return f"{entry.run.created[:10]} {commit} ({letter(entry.group)}) {text.estimate(point.estimate)}"


def _top(estimate: Estimate) -> float:
    return estimate.centre if estimate.high is None else estimate.high


def _x(point: TrendPoint, runs: int) -> float:
    """The distance of a point from the left."""
    return LEFT + (WIDTH - LEFT - RIGHT) * (point.place + 0.5) / runs


def _y(value: float, highest: float) -> float:
    """The distance of a figure from the top."""
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / highest)


def _axes(highest: float) -> Markup:
    """A line at 0 and a line at the highest end, with their figures."""
    rules = Markup("")
    for value, figure in ((0.0, "0"), (highest, text.number(highest))):
        y = _y(value, highest)
        rules += Markup(
            '<path class="axis" d="M{} {:.1f}H{}"/><text x="{}" y="{:.1f}" class="end">{}</text>'
        ).format(LEFT, y, WIDTH - RIGHT, LEFT - 5, y + 4, figure)
    return rules


def _line(group: Sequence[TrendPoint], runs: int, highest: float) -> Markup:
    way = "L".join(f"{_x(point, runs):.1f} {_y(point.estimate.centre, highest):.1f}" for point in group)
    return Markup('<path class="line" d="M{}"/>').format(way)


def _group(group: Sequence[TrendPoint], runs: int, highest: float) -> Markup:
    """The marks of a group, with its letter below the first."""
    first = group[0]
    name = Markup('<text x="{:.1f}" y="{}" class="letter">{}</text>').format(
        _x(first, runs), HEIGHT - 6, letter(first.entry.group)
    )
    return name + Markup("").join(_mark(point, runs, highest) for point in group)


def _mark(point: TrendPoint, runs: int, highest: float) -> Markup:
    """One run: its whisker, its mark, and its figure for a pointer that rests on it."""
    estimate = point.estimate
    x, y = _x(point, runs), _y(estimate.centre, highest)
    whisker = Markup("")
    if estimate.low is not None and estimate.high is not None:
        whisker = Markup('<path class="whisker" d="M{:.1f} {:.1f}V{:.1f}"/>').format(
            x, _y(max(estimate.low, 0.0), highest), _y(estimate.high, highest)
        )
    return whisker + Markup(
        '<path class="shape" transform="translate({:.1f} {:.1f})" d="{}"><title>{}</title></path>'
    ).format(x, y, SHAPES[point.entry.group % len(SHAPES)], describe(point))
