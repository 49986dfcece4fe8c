"""The instrument's edges: claims that were false once, each with its truth and with the old rule."""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.calibration.claims import Figure

Measure = Callable[[Path], Sequence[Figure]]


@dataclass(frozen=True, slots=True)
class Edge:
    """A row of the table of edges: `measure` returns figures that must hold, given a new folder to work in.

    `broken` returns the same figures by the rule as it was, or by a method that is broken on purpose: at
    least one of them must not hold, or the bound shows nothing. An edge that drives a service in real time is
    left to the nightly run; `shown_by` is the file and the name of the test that shows the same rule in every
    run of the tests, whatever else the machine does.
    """

    row: int
    title: str
    measure: Measure
    broken: Measure
    shown_by: tuple[str, str] | None = None


def edges() -> list[Edge]:
    """The edges of all modules `row_NN_….py` beside this one, in the order of their rows."""
    folder = Path(__file__).parent
    names = sorted(one.name for one in pkgutil.iter_modules([str(folder)]) if one.name.startswith("row_"))
    modules = [importlib.import_module(f"tests.calibration.edges.{name}") for name in names]
    return sorted((edge for module in modules for edge in module.EDGES), key=lambda edge: edge.row)
