"""Every edge of the instrument holds, and the same edge with its rule broken does not."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.calibration.edges.registry import Edge, edges

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
ALL = {f"row {edge.row}: {edge.title}": edge for edge in edges()}
EVERY = pytest.mark.parametrize("edge", ALL.values(), ids=ALL)
MEASURED = [
    pytest.param(edge, marks=[pytest.mark.alone] if edge.shown_by else [], id=name)
    for name, edge in ALL.items()
]


@pytest.mark.parametrize("edge", MEASURED)
def test_the_edge_holds(edge: Edge, tmp_path: Path, show: Callable[..., None]) -> None:
    show(edge.measure(tmp_path))


@pytest.mark.nightly
@EVERY
def test_a_broken_rule_is_found(edge: Edge, tmp_path: Path) -> None:
    figures = edge.broken(tmp_path)
    assert not all(figure.holds for figure in figures), "\n".join(map(str, figures))


@pytest.mark.parametrize("edge", [one for one in ALL.values() if one.shown_by], ids=lambda edge: edge.title)
def test_what_is_left_to_the_night_has_a_test_in_every_run(edge: Edge) -> None:
    assert edge.shown_by is not None
    file, name = edge.shown_by
    functions = [one for one in ast.parse((ROOT / file).read_text()).body if isinstance(one, ast.FunctionDef)]
    (found,) = (one for one in functions if one.name == name)
    marks = "".join(map(ast.unparse, found.decorator_list))
    assert "nightly" not in marks
    assert "alone" not in marks
