"""Pictures over the load say which load was too much: the spread of its rounds, and in how many."""

from pathlib import Path

from matplotlib.figure import Figure

from bench.analysis.run_analysis import analyse
from bench.analysis.summary import summarise
from bench.report.plots.load import PLOT
from bench.report.plots.over_load import groups_of, lines, overloads
from bench.run_file import read_run

FOLDER = Path(__file__).parents[2] / "results" / "20261124T210427Z-db782fb"


def test_whiskers_of_an_overloaded_load_reach_from_the_least_to_the_most_round() -> None:
    summary = summarise(read_run(FOLDER))
    cases = next(cases for cases in groups_of(summary) if cases[0].at_due_times)
    drawn = lines(Figure().subplots(), summary, cases, "p99")
    rows = {row.offered_rps: row for row in summary.rows.values() if row.case in cases}
    overloaded = [(size, found) for size, found in drawn if rows[size].overloaded]
    assert len(overloaded) == 1
    for size, found in overloaded:
        values = rows[size].rounds["p99"].values()
        assert (found.low, found.high) == (min(values), max(values))
    others = [(size, found) for size, found in drawn if not rows[size].overloaded]
    assert all(found == rows[size].estimates["p99"] for size, found in others)


def test_the_caption_and_the_alternative_text_say_so() -> None:
    run = read_run(FOLDER)
    summary = summarise(run)
    assert overloads(summary, groups_of(summary)).endswith("batched at 194/s in 5 of 6")
    assert "overloaded in 5 of 6" in PLOT.describe(analyse(run, FOLDER))
    closed = [cases for cases in groups_of(summary) if not cases[0].at_due_times]
    assert overloads(summary, closed) == ""
