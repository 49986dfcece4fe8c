"""What a cell of a table is worth when its column is sorted."""

import re
from collections.abc import Sequence

from bench.report.text import MISSING, spaced

THOUSANDS = spaced(1000)[1]
FIGURE = re.compile(r"(?:(<|>|≤|≥|±|~|over )\s*)?(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
DIGIT = re.compile(r"\d")
# a bound sorts beside its figure, on the side that it is a bound of
BESIDE = {"<": 1 - 1e-6, ">": 1 + 1e-6, "over ": 1 + 1e-6}


def sort_value(cell: str) -> float | None:
    """The figure that a cell begins with, whatever unit or interval follows; None where it has none.

    `1 116 MiB` is 1116, `151 (149-153)` is 151, `<0.001` a little less than 0.001, `≤ 499 ms` is
    499; `n/a` is None.
    """
    found = FIGURE.match(cell.strip().replace(THOUSANDS, ""))
    return None if found is None else float(found[2]) * BESIDE.get(found[1] or "", 1.0)


def sort_words(cell: str) -> str:
    """A cell's words with its numbers in one piece: the page compares numbers within words."""
    return cell.replace(THOUSANDS, "")


def has_order(cells: Sequence[str]) -> bool:
    """Whether a column of figures can be sorted: not if each cell holds several, or a figure amid words."""
    known = [cell for cell in cells if not is_missing(cell)]
    return any(sort_value(cell) is not None for cell in known) or not any(map(DIGIT.search, known))


def is_missing(cell: str) -> bool:
    """Whether a cell says nothing: such cells stand last, however the column is sorted."""
    return cell.strip() in ("", MISSING)
