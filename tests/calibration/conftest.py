"""Shows claims: each must hold, and all figures are listed at the end with what it took to get them."""

from collections.abc import Callable, Sequence

import pytest

from tests.calibration import apparatus, computed
from tests.calibration.claims import Figure
from tests.calibration.experiments import Run
from tests.calibration.trials import Trial

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(
    scope="module",
    params=["computed", pytest.param("measured", marks=pytest.mark.alone)],
)
def run(request: pytest.FixtureRequest) -> Run:
    """What runs an experiment: computed everywhere, and measured where the machine is quiet."""
    runs: dict[str, Run] = {"computed": computed.run, "measured": apparatus.run}
    return runs[request.param]


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Assert that every figure holds; show(figures, trial) lists them for the end."""
    listed = request.config.stash.setdefault(FIGURES, [])

    def assert_all(figures: Sequence[Figure], trial: Trial | None = None) -> None:
        said = [f"  {figure}" for figure in figures]
        if trial is not None:
            said.insert(0, f"{trial.load.label}, {trial.told}")
        listed.extend(said)
        assert all(figure.holds for figure in figures), "\n".join(said)

    return assert_all


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List the figures."""
    listed = config.stash.get(FIGURES, [])
    if listed:
        terminalreporter.section("calibration: truth and measured")
        terminalreporter.write("\n".join(listed) + "\n")
