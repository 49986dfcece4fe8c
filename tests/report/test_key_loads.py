"""Sentence, key table and picture speak of the same load, and each form says once which it is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.run_analysis import analyse
from bench.analysis.summary import summarise
from bench.docs.tables import results_block, verdict
from bench.model import ClosedLoad, Environment, Load, OpenLoad, PayloadSizes, Run, RunSettings
from bench.report import report_md, terminal_summary
from bench.report.choice_sentence import choice_sentence
from bench.report.document import Table
from bench.report.exports import comment
from bench.report.key_table import key_table
from bench.report.page.figure_table import FigureTable, figure_table
from bench.report.report import report_of
from tests.analysis.test_comparisons import made, rounds

CLIENTS = ClosedLoad(50, 2, 10)
SLOW, FAST = OpenLoad(40, 2, 10), OpenLoad(80, 2, 10)
HALF = OpenLoad(50, 2, 10, share=0.5, of_slowest=True)
SHARE = OpenLoad(80, 2, 10, share=0.8, of_slowest=True)


def run_of(
    loads: Mapping[Load, Mapping[str, float]], chosen: str = "small", *, over: Load | None = None
) -> Run:
    """A run whose strategies answer at these rates, overloaded by one of the loads."""
    trials = [
        replace(one, refused=7) if one.load == over else one
        for load, rates in loads.items()
        for name, rate in rates.items()
        for one in rounds(name, load, rate, chosen=chosen)
    ]
    return made(trials, environment=Environment(service_cores="1"))


def together(*runs: Run) -> Run:
    trials = tuple(one for run in runs for one in run.trials)
    return replace(runs[0], trials=trials, planned_trials=len(trials))


def table_of(run: Run) -> Table:
    (found,) = key_table(analyse(run, Path()))
    assert isinstance(found, Table)
    return found


def page_of(run: Run) -> FigureTable:
    found = figure_table(analyse(run, Path()))
    assert found is not None
    return found


def column(run: Run, header: str) -> list[str]:
    table = table_of(run)
    (place,) = (place for place, one in enumerate(table.columns) if one.header == header)
    return [row[place].text + row[place].after for row in table.rows]


def headers(run: Run) -> list[str]:
    return [one.header for one in table_of(run).columns]


def test_of_open_loads_the_largest_that_overloaded_nobody_stands_for_the_run() -> None:
    run = run_of({SLOW: {"batched": 40}, FAST: {"batched": 80}, OpenLoad(200, 2, 10): {"batched": 120}})
    over = run_of(
        {SLOW: {"batched": 40}, FAST: {"batched": 80}, OpenLoad(200, 2, 10): {"batched": 120}},
        over=OpenLoad(200, 2, 10),
    )
    assert choice_sentence(run, summarise(run)).startswith("At 200 requests/s ")
    assert choice_sentence(over, summarise(over)).startswith("At 80 requests/s ")
    assert column(over, "requests/s") == ["80.0"]
    assert page_of(over).load == "80 requests/s"
    assert "of capacity" not in page_of(over).columns, "nobody knows it without a closed loop"
    assert [case.load for case in summarise(over).focus] == ["80 requests/s"]


def test_if_each_load_overloaded_somebody_the_smallest_stands_for_the_run() -> None:
    run = run_of({SLOW: {"batched": 40}, FAST: {"batched": 80}})
    over = replace(run, trials=tuple(replace(one, refused=7) for one in run.trials))
    assert choice_sentence(over, summarise(over)).startswith("At 40 requests/s ")
    assert page_of(over).load == "40 requests/s"


def test_payloads_that_took_different_loads_each_have_their_own() -> None:
    both = {SLOW: {"onnx": 40.0, "torch": 39.0}, FAST: {"onnx": 80.0, "torch": 79.0}}
    run = together(run_of(both), run_of(both, "seed", over=FAST))
    told = choice_sentence(run, summarise(run))
    assert "with small payloads, at 80 requests/s, " in told
    assert "with seed payloads, at 40 requests/s, " in told
    cases = ["small, 80 requests/s", "seed, 40 requests/s"]
    assert column(run, "case") == [case for case in cases for _ in range(2)]
    page = page_of(run)
    assert (page.load, page.cases) == ("80 requests/s and 40 requests/s", "case")
    assert [row.case for row in page.rows] == [case for case in cases for _ in range(2)]


def test_a_single_strategy_has_no_ratio_in_any_form() -> None:
    run, two = run_of({CLIENTS: {"onnx": 200}}), run_of({CLIENTS: {"onnx": 200, "torch": 100}})
    for each, expected in ((run, False), (two, True)):
        forms = (headers(each), page_of(each).columns, terminal_summary(each, 140).split())
        assert [any("ratio" in word for word in form) for form in forms] == [expected] * 3
    assert "baseline" not in results_block(run, "x", "y")


def test_every_form_says_the_load_of_its_table(tmp_path: Path) -> None:
    for load, words in ((CLIENTS, "50 clients"), (ClosedLoad(1, 2, 10), "1 client")):
        run = run_of({load: {"onnx": 200, "torch": 100}})
        report = report_of(analyse(run, tmp_path))
        for form in (report_md.render(report), results_block(run, "x", "y"), verdict(run, "x")):
            assert form.count(f"Measured at {words}, ") == 1
        assert comment.render(report).count(f"Measured at {words}.") == 1
        assert terminal_summary(run, 140).count(f"load: {words};") == 1
        assert page_of(run).load == words


def test_a_load_that_is_not_the_usual_is_named_and_a_client_for_each_core_fills_no_service() -> None:
    def told(clients: int, cores: str = "1") -> str:
        run = run_of({ClosedLoad(clients, 2, 10): {"onnx": 200, "torch": 100}})
        run = replace(run, environment=Environment(service_cores=cores))
        return choice_sentence(run, summarise(run))

    late = "How late they are below full load was not measured."
    assert told(1).startswith("On one core, at 1 client, with small payloads, onnx serves 2.0 times ")
    assert told(1, "").startswith("At 1 client, with small payloads, onnx serves 2.0 times ")
    assert late not in told(1)
    assert told(50).startswith("On one core, with small payloads, ")
    assert told(50).endswith(late)
    assert told(2).endswith(late)
    assert late not in told(2, "2-3")


@pytest.mark.parametrize(
    ("loads", "words"),
    [((SLOW, FAST), "80 requests/s"), ((HALF, SHARE), "80% of the slowest's capacity")],
    ids=["requests/s", "common share"],
)
def test_beside_a_closed_loop_the_p99_is_of_the_rate_by_which_lateness_was_judged(
    loads: Sequence[OpenLoad], words: str
) -> None:
    slow, fast = loads
    closed = {"torch": 100.0, "onnx": 200.0}
    run = run_of({CLIENTS: closed, slow: {"torch": 20, "onnx": 40}, fast: {"torch": 50, "onnx": 100}})
    assert "is the least late" in choice_sentence(run, summarise(run))
    header = f"p99 ms at {words}"
    assert column(run, header) == ["60.1", "30.1"]
    assert "p99 ms" not in headers(run)
    page = page_of(run)
    shown = [str(row.cells[page.columns.index(header)]) for row in page.rows]
    assert ["60.1" in shown[0], "30.1" in shown[1]] == [True, True]
    assert f"| {header} |" in results_block(run, "x", "y")


def test_payloads_that_were_late_at_other_rates_say_so_in_the_cell() -> None:
    closed = {"torch": 100.0, "onnx": 200.0}
    both = {CLIENTS: closed, SLOW: {"torch": 40.0, "onnx": 40.0}, FAST: {"torch": 80.0, "onnx": 80.0}}
    run = together(run_of(both), run_of(both, "seed", over=FAST), run_of({CLIENTS: closed}, "large"))
    found = column(run, "p99 ms at a rate that all took")
    assert [one.partition(" at ")[2] for one in found] == [
        *2 * ["80 requests/s"],
        *2 * ["40 requests/s"],
        "",
        "",
    ]
    assert found[-1] == "n/a"


def test_without_a_rate_that_is_the_same_for_all_the_p99_is_of_the_table_s_load() -> None:
    run = run_of(
        {CLIENTS: {"torch": 100, "onnx": 200}, OpenLoad(70, 2, 10, share=0.7): {"torch": 70, "onnx": 90}}
    )
    assert "p99 ms" in headers(run)
    assert "p99 ms" in page_of(run).columns


def test_a_figure_has_one_name_in_the_text_and_on_the_page() -> None:
    run = together(
        run_of({CLIENTS: {"torch": 100, "onnx": 200}}), run_of({CLIENTS: {"torch": 50, "onnx": 60}}, "seed")
    )
    page = page_of(run)
    assert set(page.columns) <= set(headers(run))
    assert page.cases == "payloads"
    assert {"payloads", "throughput ratio to torch", "first answer, s", "image, MiB"} <= set(headers(run))
    assert terminal_summary(run, 140).startswith("payloads")


def test_a_run_of_a_single_strategy_calls_payloads_by_their_size_too() -> None:
    run = run_of({FAST: {"onnx": 80}})
    sizes = {"small": PayloadSizes(19_960, 19_960, 19_960, pictures=True)}
    sized = replace(run, environment=Environment(settings=RunSettings(payload_sizes=sizes)))
    assert choice_sentence(sized, summarise(sized)).startswith("At 80 requests/s with 20 KB pictures, p99: ")
