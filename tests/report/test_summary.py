"""What the summary, the sentence and the terminal's table make of good, thin and spoilt runs."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.analysis.cases import Case
from bench.analysis.run_analysis import analyse
from bench.analysis.summary import summarise
from bench.model import LatencyMs, Run, RunSettings
from bench.report import terminal_summary
from bench.report.formats import PRINTED
from bench.report.page.run_page import state
from bench.report.report import report_of
from bench.report.sentence import sentence
from bench.report.text import number, valid_trials
from tests.running.doubts import doubt

Change = Callable[..., Run]
SMALL, SEED = Case("small", "json", "50 clients"), Case("seed", "json", "50 clients")


def said(run: Run) -> str:
    return sentence(run, summarise(run)).replace("\N{NO-BREAK SPACE}", " ")


def test_rows_hold_rates_ratios_and_counts(run: Run) -> None:
    summary = summarise(run)
    row = summary.rows["onnx", SMALL]
    assert summary.baseline == "torch"
    assert summary.cases == (SMALL, SEED)
    assert row.to_baseline is not None
    assert row.to_baseline.ratio == pytest.approx(2.31, abs=0.03)
    assert row.to_baseline.shows_difference
    assert row.estimates["throughput"] is not None
    assert row.estimates["throughput"].centre == pytest.approx(231, rel=0.02)
    assert (row.valid_trials, row.invalid_trials, row.errors) == (6, 0, 0)
    assert row.to_loop is not None
    assert row.to_loop.centre == pytest.approx(0.96, abs=0.02)


def test_the_sentence_names_ratios_tail_and_checked_answers(run: Run) -> None:
    text = said(run)
    assert text.startswith("onnx answers 2.3")
    assert "the requests of torch per core with small payloads and 1.3" in text
    assert ", and its p99 is 346 ms against 798 ms with small payloads; batched answers 1.38" in text
    assert "Every answer was checked: 0 wrong of 73 573 (each probability within 0.02 of" in text
    assert "invalid" not in text.lower()


def test_invalid_trials_are_left_out_and_counted(run: Run) -> None:
    trials = tuple(
        dataclasses.replace(t, valid=False, throughput_rps=9999.0, wrong_answers=7)
        if (t.strategy, t.round, t.payload_class) == ("onnx", 2, "small")
        else t
        for t in run.trials
    )
    spoilt = dataclasses.replace(run, trials=trials)
    row = summarise(spoilt).rows["onnx", SMALL]
    assert (row.valid_trials, row.invalid_trials, row.wrong_answers) == (5, 1, 7)
    assert max(row.rounds["throughput"].values()) < 300
    assert row.to_baseline is not None
    assert row.to_baseline.n == 5
    assert "7 wrong of" in said(spoilt)
    assert "1 trial of 36 invalid and left out." in said(spoilt)


def test_a_run_with_only_invalid_trials_claims_nothing(with_trials: Change) -> None:
    spoilt = with_trials(valid=False)
    assert said(spoilt).startswith("Invalid: none of 36 trials may be believed.")
    assert summarise(spoilt).baseline is None
    table = terminal_summary(spoilt)
    assert "n/a" in table
    assert "0/6" in table


def test_one_round_proves_nothing_and_has_no_interval(with_trials: Change) -> None:
    one = with_trials(lambda t: t.round == 1)
    assert said(one).startswith("One round: it proves nothing. onnx answers 2.25")
    assert "(" not in said(one).partition("Every answer")[0]
    assert "no intervals: one round" in terminal_summary(one).replace("\n", " ")


def test_a_quick_run_says_so_whatever_it_holds(run: Run) -> None:
    quick = dataclasses.replace(run, quick=True)
    assert said(quick).startswith("A quick run: short windows. onnx")
    assert "(2.2" in said(quick), "six rounds have intervals, however short they are"


def test_an_interval_that_holds_one_is_called_no_difference(run: Run) -> None:
    rates = {1: 99.0, 2: 101.0, 3: 98.0, 4: 102.0, 5: 100.0, 6: 101.0}
    trials = tuple(
        dataclasses.replace(t, throughput_rps=rates[t.round] if t.strategy == "onnx" else 100.0)
        for t in run.trials
        if t.strategy != "batched" and t.payload_class == "small"
    )
    text = said(dataclasses.replace(run, trials=trials, planned_trials=len(trials)))
    assert text.startswith("onnx answers 1.00")
    assert "the requests of torch per core with small payloads (no difference shown)" in text


def test_failed_requests_are_named_beside_wrong_answers(with_trials: Change) -> None:
    mixed = with_trials(errors=3, wrong_answers=2)
    assert "72 wrong of 73 573" in said(mixed)
    assert "108 requests failed." in said(mixed)


def test_missing_figures_are_never_zero(with_trials: Change) -> None:
    bare = with_trials(
        throughput_rps=None,
        latency_ms=LatencyMs(None, None, None),
        cpu_ms_per_request=None,
        peak_memory_bytes=None,
    )
    row = summarise(bare).rows["onnx", SMALL]
    assert set(row.estimates.values()) - {row.estimates["driver_cpu"]} == {None}
    line = next(line for line in terminal_summary(bare).splitlines() if line.split()[:2] == ["small", "onnx"])
    assert line.split()[2:8] == ["n/a"] * 6
    assert "nothing to compare" in said(bare)


def test_a_strategy_alone_has_its_figures_said(run: Run) -> None:
    """A model that one strategy can serve has nobody to be compared with."""
    trials = tuple(one for one in run.trials if one.strategy == "onnx")
    alone = dataclasses.replace(run, strategies={"onnx": run.strategies["onnx"]}, trials=trials)
    rows = [summarise(alone).rows["onnx", case].estimates for case in (SMALL, SEED)]
    small, seed = [(number(row["throughput"].centre), number(row["p99"].centre)) for row in rows]
    told = (
        f"onnx answers {small[0]} requests/s with small payloads (p99 {small[1]} ms) and "
        f"{seed[0]} requests/s with seed payloads (p99 {seed[1]} ms); no other strategy was measured"
    )
    assert told.replace("\N{NO-BREAK SPACE}", " ") in said(alone)


def test_without_torch_the_first_is_the_baseline_whatever_it_measured(with_trials: Change) -> None:
    """One that is chosen by what it measured makes differences out of chance."""
    rest = with_trials(lambda t: t.strategy != "torch")
    first = next(name for name in rest.strategies if name != "torch")
    assert summarise(rest).baseline == first
    slower, faster = (
        tuple(
            dataclasses.replace(t, throughput_rps=rate) if t.strategy == first and t.valid else t
            for t in rest.trials
        )
        for rate in (0.1, 9999.0)
    )
    for trials in (slower, faster):
        assert summarise(dataclasses.replace(rest, trials=trials)).baseline == first


def test_torch_is_the_baseline_even_where_it_is_not_the_slowest(run: Run) -> None:
    trials = tuple(
        dataclasses.replace(t, throughput_rps=1000.0) if t.strategy == "torch" else t for t in run.trials
    )
    assert summarise(dataclasses.replace(run, trials=trials)).baseline == "torch"


def test_a_strategy_whose_trials_all_failed_is_still_a_row(run: Run) -> None:
    trials = tuple(
        dataclasses.replace(
            t, valid=False, throughput_rps=None, samples=None, error=doubt("never ready", "start_failed")
        )
        if t.strategy == "batched"
        else t
        for t in run.trials
    )
    table = terminal_summary(dataclasses.replace(run, trials=trials))
    assert any(line.split()[:2] == ["small", "batched"] and "0/6" in line for line in table.splitlines())


def test_planned_trials_that_were_not_made_are_said(run: Run) -> None:
    assert "2 planned trials not made." in said(dataclasses.replace(run, planned_trials=38))


def test_labels_name_only_what_differs(run: Run) -> None:
    assert summarise(run).case_label(SMALL) == "small"
    raw = tuple(dataclasses.replace(t, encoding="raw") for t in run.trials)
    both = summarise(dataclasses.replace(run, trials=run.trials + raw))
    assert both.case_label(SMALL) == "small, json"


def test_a_run_without_trials_has_nothing_to_report(run: Run) -> None:
    empty = dataclasses.replace(run, trials=(), planned_trials=0)
    assert said(empty) == "No trial was made: there is nothing to report."
    assert "0 wrong of 0" not in terminal_summary(empty)
    assert terminal_summary(empty).endswith("\n\nNo trial was made: there is nothing to choose by.\n")


def test_the_terminal_names_starts_and_images_and_what_is_missing(run: Run) -> None:
    strategies = {
        **run.strategies,
        "onnx": dataclasses.replace(run.strategies["onnx"], image=None, startup=None),
    }
    lines = terminal_summary(dataclasses.replace(run, strategies=strategies)).splitlines()
    assert any(line.startswith("start, s: torch 5.96 (5.82") and "onnx n/a" in line for line in lines)
    assert any("torch 252 MiB of 746 MiB, onnx n/a" in line for line in lines)


def test_a_ratio_from_one_round_of_many_says_so(with_trials: Change) -> None:
    thin = with_trials(lambda t: t.strategy == "torch" or (t.strategy == "onnx" and t.round == 3))
    assert "with small payloads (one round only)" in said(thin)


def test_the_terminal_fits_a_hundred_columns(run: Run) -> None:
    lines = terminal_summary(run).splitlines()
    assert max(map(len, lines)) <= 100
    rows = [line for line in lines if line.startswith(("small ", "seed ", "payloads "))]
    assert len(rows) == 7
    assert len({len(row) for row in rows}) == 1


@pytest.fixture
def spared(run: Run) -> Run:
    """Six rounds were planned and a seventh made, since a trial of the third was void."""
    spare = tuple(dataclasses.replace(t, round=7) for t in run.trials if t.round == 6)
    void = tuple(
        dataclasses.replace(t, valid=False) if (t.strategy, t.payload_class, t.round) == VOID else t
        for t in run.trials
    )
    environment = dataclasses.replace(run.environment, settings=RunSettings(rounds=6))
    return dataclasses.replace(run, trials=(*void, *spare), environment=environment)


VOID = ("torch", "small", 3)


def test_spare_rounds_are_no_planned_trials(spared: Run) -> None:
    """36 planned, and six more: `41 of 36 planned trials valid` would be nonsense."""
    summary = summarise(spared)
    assert valid_trials(spared, summary) == "41 of 42 trials valid (36 planned)"
    assert state(spared, summary) == ("doubtful", "41 of 42 trials valid")
    found = PRINTED["junit"](report_of(analyse(spared, Path("nowhere"))))
    assert 'name="valid trials" value="41 of 42 trials valid (36 planned)"' in found


def test_a_spare_round_stands_for_no_planned_trial_that_was_not_made(spared: Run) -> None:
    trials = tuple(t for t in spared.trials if (t.strategy, t.payload_class, t.round) != VOID)
    lacking = dataclasses.replace(spared, trials=trials)
    summary = summarise(lacking)
    assert summary.missing_trials == 1
    assert valid_trials(lacking, summary) == "41 of 42 trials valid (36 planned)"
    assert "1 planned trial not made." in said(lacking)


def test_a_baseline_without_a_valid_trial_leaves_the_other_strategies_comparisons(run: Run) -> None:
    trials = tuple(
        dataclasses.replace(t, valid=False, doubts=(doubt("stolen", "stolen"),))
        if t.strategy == "batched"
        else t
        for t in run.trials
    )
    told = said(dataclasses.replace(run, trials=trials, baseline="batched"))
    assert "nothing to compare" not in told
    assert told.startswith(
        "batched, the baseline, has no figure to compare with; onnx answers 2.30\N{MULTIPLICATION SIGN}"
    )
    assert "the requests of torch per core with small payloads" in told
