"""A report says in one way only whether a reason leaves a trial out: by what the doubt says of itself."""

import dataclasses
import re

import pytest

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import summarise
from bench.model import TITLES, DoubtCode, Run
from bench.report import run_screen
from bench.report.formats import PRINTED
from bench.report.report import report_of
from bench.report.sections.loads import loads
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


def test_a_doubt_that_voids_nothing_is_not_said_to_leave_a_trial_out(run: Run) -> None:
    """Also beside another doubt that does, wherever trials are counted by doubt."""
    voiding, unknown = doubt("too steep", "not_steady"), doubt("not known", "stolen", voids=False)
    torch = [one for one in run.trials if (one.strategy, one.payload_class) == ("torch", "small")]
    held = {torch[0]: (voiding, unknown), torch[1]: (unknown,), torch[2]: (unknown,)}
    trials = tuple(
        dataclasses.replace(one, valid=one is not torch[0], doubts=held.get(one, ())) for one in run.trials
    )
    spoilt = dataclasses.replace(run, trials=trials)
    analysis = analysed(spoilt)
    told = {line.removeprefix("- ") for line in "\n".join(blocks(loads(analysis))).splitlines()}
    assert f"torch, 50 clients: 1 trial, INVALID and left out: {TITLES['not_steady']}" in told
    assert f"torch, 50 clients: 3 trials: {TITLES['stolen']}" in told
    shown = run_screen.render(spoilt, 200)
    assert "INVALID, 1 trial of torch: too steep" in shown
    assert "warning, 3 trials of torch, such as: not known" in shown
    comment = PRINTED["markdown"](report_of(analysis))
    assert f"1 trial INVALID and left out: {TITLES['not_steady']}" in comment
    assert f"3 trials warned of: {TITLES['stolen']}" in comment
    assert f"left out: {TITLES['stolen']}" not in comment


def test_an_older_trial_whose_doubts_do_not_say_whether_they_void_is_left_out_for_all(run: Run) -> None:
    first = dataclasses.replace(run.trials[0], valid=False, doubts=(doubt("odd", "other", voids=False),))
    shown = run_screen.render(dataclasses.replace(run, trials=(first, *run.trials[1:])), 200)
    assert f"INVALID, 1 trial of {first.strategy}: odd" in shown


def test_no_sentence_contradicts_it(run: Run) -> None:
    analysis = analysed(doubted(run, "not_steady", voids=True))
    said = "\n".join(blocks([*validity(analysis), *meaning(analysis)]))
    assert not ONLY_WARNS.search(said)
