"""How strategies are told apart in pictures: colour, hatch, mark and line."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from bench.report.plots import colours, style
from tests.report.contrast import contrast, luminance


def test_neighbouring_strategies_differ_in_more_than_hue() -> None:
    looks = style.LOOKS
    for part in ("hatch", "marker", "line", "colour"):
        assert len({str(getattr(look, part)) for look in looks}) == len(looks), part
    for one, other in pairwise(looks):
        assert abs(luminance(one.colour) - luminance(other.colour)) > 0.05


def test_what_is_drawn_and_written_is_seen_on_white_and_on_dark_paper() -> None:
    papers = (colours.PAPER, colours.DARK[colours.PAPER])
    for paper in papers:
        assert all(contrast(look.colour, paper) > 3 for look in style.LOOKS), paper
    # parts of bars have a dark outline, which is seen on white
    assert all(contrast(colour, papers[1]) > 3 for colour, _ in style.PARTS)
    assert contrast(colours.EDGE, papers[0]) > 3
    for ink in (colours.INK, colours.QUIET):
        assert contrast(ink, papers[0]) > 4.5
        assert contrast(colours.DARK[ink], papers[1]) > 4.5


def test_marks_and_hatches_of_strategies_are_no_plus_beside_a_cross() -> None:
    assert not {"+", "P", "x"} & {look.marker for look in style.LOOKS}
    assert not any("+" in look.hatch for look in style.LOOKS)


def test_strategies_that_are_known_look_the_same_whatever_the_run() -> None:
    together = style.looks(["torch", "onnx", "batched"])
    assert style.looks(["batched"])["batched"] == together["batched"]
    assert style.looks(["mosec", "other", "onnx"])["onnx"] == together["onnx"]


def test_any_number_of_strategies_is_told_apart() -> None:
    for names in (["a", "b", "onnx"], [f"s{number}" for number in range(9)], [*"abcdefgh", *style.KNOWN]):
        found = style.looks(names)
        assert list(found) == names
        assert len({*found.values()}) == len(names)
        assert len({(look.colour, look.marker) for look in found.values()}) == len(names)


EIGHT = ("batched", "mosec", "onnx_native", "onnx_pillow", "onnx", "onnx_simd", "rust", "torch")


@pytest.mark.parametrize(
    "names",
    [EIGHT, (*EIGHT, "unbatched", "other"), tuple(f"s{number}" for number in range(10))],
    ids=["eight", "ten", "ten that nobody knows"],
)
def test_no_two_of_up_to_ten_strategies_share_a_colour_or_a_mark(names: tuple[str, ...]) -> None:
    found = style.looks(names)
    for part in ("colour", "hatch", "marker", "line"):
        assert len({str(getattr(look, part)) for look in found.values()}) == len(names), part


def test_an_eighth_strategy_leaves_the_colours_of_seven_as_they_were_drawn() -> None:
    found = style.looks(EIGHT)
    drawn = {
        "torch": "#0072B2",
        "onnx": "#CC7A00",
        "batched": "#007F5F",
        "mosec": "#C24A00",
        "onnx_native": "#C66CA2",
        "onnx_pillow": "#6E6E6E",
        "onnx_simd": "#3A96D0",
    }
    assert {name: look.colour for name, look in found.items() if name != "rust"} == drawn


def test_parts_of_a_bar_are_no_strategy_and_differ_in_grey() -> None:
    assert not {colour for colour, _ in style.PARTS} & {look.colour for look in style.LOOKS}
    greys = [np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) for colour, _ in style.PARTS]
    assert all(abs(one - other) > 0.08 for one, other in pairwise(greys))
