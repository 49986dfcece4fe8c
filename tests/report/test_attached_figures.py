"""Reports of services that ran already: no figure rests on cores or starts that nobody gave them."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.against_itself import pairs_of
from bench.analysis.costs import costs
from bench.analysis.run_analysis import analyse
from bench.analysis.summary import summarise
from bench.analysis.unmeasured import Asked, unmeasured
from bench.model import ClosedLoad, Run, StrategyResult
from bench.report.sections.deployment import image_sizes, startup
from bench.report.sentence import sentence
from bench.report.writers import markdown
from tests.analysis.test_comparisons import made, rounds

TITLE = "a service that runs already"


@pytest.fixture
def run() -> Run:
    """`fast` is started, `mine` and `theirs` run already."""
    load = ClosedLoad(50, 2, 10)
    trials = [one for name, rps in (("fast", 200), ("mine", 100)) for one in rounds(name, load, rps)]
    found = made([*trials, *rounds("theirs", load, 50)], price_per_core_hour=0.04)
    attached = {name: StrategyResult(TITLE, None, None, attached=True) for name in ("mine", "theirs")}
    return replace(
        found,
        strategies={"fast": found.strategies["fast"], **attached},
        environment=replace(found.environment, service_cores="1"),
    )


def test_no_sentence_says_per_core_of_unknown_cores(run: Run) -> None:
    mixed = sentence(run, summarise(run))
    assert "the requests of fast" in mixed
    assert "per core" not in mixed
    started = replace(
        run, strategies={name: replace(one, attached=False) for name, one in run.strategies.items()}
    )
    assert "per core" in sentence(started, summarise(started))


def test_whole_cores_are_those_that_the_run_gave(run: Run) -> None:
    found = costs(run, summarise(run))
    assert found is not None
    assert {one.row.strategy: one.whole_cores is not None for one in found.costs} == {
        "fast": True,
        "mine": False,
        "theirs": False,
    }


def test_two_that_run_already_are_not_one_against_itself(run: Run) -> None:
    two = replace(run, strategies={name: run.strategies[name] for name in ("mine", "theirs")})
    assert pairs_of(two) == []


def test_what_a_start_is_needed_for_is_not_asked_of_them(run: Run) -> None:
    missing = unmeasured(run, Asked(starts=True, images=True))
    assert {(one.strategy, one.part) for one in missing} == {("fast", "starts"), ("fast", "image")}


def test_startup_and_size_are_na(run: Run) -> None:
    analysis = analyse(run, Path("nowhere"))
    for section in (startup, image_sizes):
        (line,) = [
            one for one in "\n".join(markdown.blocks(section(analysis))).splitlines() if "| mine |" in one
        ]
        assert "n/a" in line
