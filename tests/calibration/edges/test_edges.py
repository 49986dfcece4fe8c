"""Every edge of the instrument holds, and the same edge with its rule broken does not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.calibration.edges.registry import Edge, edges

pytestmark = pytest.mark.slow
ALL = {f"row {edge.row}: {edge.title}": edge for edge in edges()}
EVERY = pytest.mark.parametrize("edge", ALL.values(), ids=ALL)
MEASURED = [
    pytest.param(edge, marks=[pytest.mark.nightly] if edge.nightly else [], id=name)
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
