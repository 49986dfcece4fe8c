"""A report says in one way only whether a reason leaves a trial out: by what the doubt says of itself."""

import dataclasses
import re

import pytest

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import summarise
from bench.model import TITLES, DoubtCode, Run
from bench.report.sections.validity import meaning, validity, warnings
from bench.report.writers.markdown import blocks
from tests.running.doubts import doubt

ONLY_WARNS = re.compile(r"only warns|is a warning only|does not leave|kept all the same", re.IGNORECASE)


def analysed(run: Run) -> RunAnalysis:
    """The run without samples."""
    return RunAnalysis(run, summarise(run), {}, {}, {}, {})


def doubted(run: Run, code: DoubtCode, *, voids: bool) -> Run:
    """The run whose first trial has a doubt that voids it or not, and whose second only warns."""
    first = dataclasses.replace(run.trials[0], valid=not voids, doubts=(doubt("as told", code, voids=voids),))
    second = dataclasses.replace(run.trials[1], doubts=(doubt("as told", code, voids=False),))
    return dataclasses.replace(run, trials=(first, second, *run.trials[2:]))


@pytest.mark.parametrize("code", ["not_steady", "warmup_open", "overloaded", "stolen", "other_cpu"])
@pytest.mark.parametrize("voids", [True, False])
def test_what_a_reason_does_is_said_once(run: Run, code: DoubtCode, voids: bool) -> None:
    analysis = analysed(doubted(run, code, voids=voids))
    table = "\n".join(blocks(validity(analysis)))
    (row,) = (line for line in table.splitlines() if line.startswith(f"| {TITLES[code]} |"))
    assert [cell.strip() for cell in row.split("|")[2:5]] == (["1", "1", "1"] if voids else ["0", "0", "2"])
    items = [line for line in "\n".join(blocks(warnings(analysis))).splitlines() if "as told" in line]
    assert sum("INVALID, left out" in line for line in items) == int(voids)


def test_no_sentence_contradicts_it(run: Run) -> None:
    analysis = analysed(doubted(run, "not_steady", voids=True))
    said = "\n".join(blocks([*validity(analysis), *meaning(analysis)]))
    assert not ONLY_WARNS.search(said)
