"""Every edge of the instrument holds, and the same edge with its rule broken does not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.calibration.edges.registry import Edge, edges

pytestmark = pytest.mark.slow
EVERY = pytest.mark.parametrize("edge", edges(), ids=lambda edge: f"row {edge.row}: {edge.title}")


@EVERY
def test_the_edge_holds(edge: Edge, tmp_path: Path, show: Callable[..., None]) -> None:
    show(edge.measure(tmp_path))


@pytest.mark.nightly
@EVERY
def test_a_broken_rule_is_found(edge: Edge, tmp_path: Path) -> None:
    figures = edge.broken(tmp_path)
    assert not all(figure.holds for figure in figures), "\n".join(map(str, figures))
