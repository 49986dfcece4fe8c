"""Samples survive the disk, and a window's figures follow from them alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.load.recorder import COLUMNS, ROW_BYTES, Recorder, merge
from bench.load.samples import Samples, read_columns, write_parquet
from bench.load.window import LEAST_N, quantile_ms, summarise
from bench.model import OUTCOMES

OK, WRONG, HTTP_ERROR, TIMEOUT, UNFINISHED = 0, 1, 2, 4, 5


def steady(clients: int = 10, response_ms: float = 50.0, seconds: float = 12.0) -> Samples:
    """A perfectly regular closed loop: each client answered every `response_ms`."""
    step = int(response_ms * 1e6)
    starts = np.arange(0, int(seconds * 1e9), step, dtype=np.int64)
    due = np.sort((starts[:, None] + np.linspace(0, step, clients, endpoint=False).astype(np.int64)).ravel())
    zeros = np.zeros(len(due), dtype=np.int64)
    return Samples(due, due + 1000, due + step, zeros + 90, zeros + 200, zeros, zeros.copy())


def test_a_trial_survives_parquet_exactly(tmp_path: Path) -> None:
    samples = steady()
    samples.outcome[3] = WRONG
    write_parquet(samples, tmp_path / "a.parquet", strategy="onnx", round_=2, payload_class="seed")
    back = pd.read_parquet(tmp_path / "a.parquet")
    assert list(back["outcome"]) == [OUTCOMES[code] for code in samples.outcome]
    for name, _ in COLUMNS:
        if name != "outcome":
            assert (back[name].to_numpy() == getattr(samples, name)).all(), name


def test_a_folder_of_trials_reads_as_one_table(tmp_path: Path) -> None:
    for name in ("onnx", "torch"):
        write_parquet(steady(), tmp_path / f"{name}.parquet", strategy=name, round_=1, payload_class="small")
    table = pd.read_parquet(tmp_path)
    assert set(table["strategy"]) == {"onnx", "torch"}
    assert set(table["outcome"]) == {"ok"}
    assert len(table) == 2 * len(steady())


def test_nanoseconds_are_kept_compactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    samples = steady(50, 100.0)
    samples.done_ns[:] = np.sort(samples.done_ns + rng.integers(0, 5_000_000, len(samples)))
    write_parquet(samples, tmp_path / "a.parquet", strategy="onnx", round_=1, payload_class="seed")
    assert (tmp_path / "a.parquet").stat().st_size < 16 * len(samples) + 4000


def test_the_recorder_writes_what_it_was_told_ordered_by_the_end(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.add(5, 6, 30, 100, 200, 1, OK)
    recorder.add(-1, 2, 20, 0, 0, 2, HTTP_ERROR)
    assert merge([recorder.to_bytes()], tmp_path / "columns") == 2
    samples = read_columns(tmp_path / "columns", 2)
    assert samples.done_ns.tolist() == [20, 30]
    assert samples.due_ns.tolist() == [-1, 5]
    assert samples.outcome.tolist() == [HTTP_ERROR, OK]


def test_what_several_recorders_hold_is_merged_by_the_end_of_each_request(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = [tuple(int(value) for value in rng.integers(-100, 100, len(COLUMNS))) for _ in range(60)]
    parts = [rows[:25], [], rows[25:26], rows[26:]]
    recorders = [Recorder() for _ in parts]
    for recorder, part in zip(recorders, parts, strict=True):
        for row in part:
            recorder.add(*row)
    assert merge([recorder.to_bytes() for recorder in recorders], tmp_path / "columns") == 60
    samples = read_columns(tmp_path / "columns", 60)
    merged = zip(*(getattr(samples, name).tolist() for name, _ in COLUMNS), strict=True)
    assert list(merged) == sorted(rows, key=lambda row: row[2])


def test_columns_that_are_cut_off_are_not_merged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unequal"):
        merge([bytes(2 * ROW_BYTES), bytes(2 * ROW_BYTES - 1)], tmp_path / "columns")


@pytest.mark.parametrize(("q", "least"), LEAST_N.items())
def test_a_quantile_needs_its_least_number_of_samples(q: float, least: int) -> None:
    assert quantile_ms(np.full(least - 1, 1_000_000), q) is None
    assert quantile_ms(np.full(least, 1_000_000), q) == 1.0


def test_quantiles_are_order_statistics_at_full_resolution() -> None:
    response_ns = np.random.default_rng(0).permutation(np.arange(1, 1001)) * 1_000_007
    assert quantile_ms(response_ns, 0.50) == pytest.approx(500 * 1.000007)
    assert quantile_ms(response_ns, 0.99) == pytest.approx(990 * 1.000007)


def test_throughput_is_what_ended_in_the_window_over_its_length() -> None:
    figures = summarise(steady(), 10, warmup_s=2.0, window_s=10.0)
    assert figures.throughput_rps == pytest.approx(200.0)
    assert figures.latency_ms.p99 == pytest.approx(50.0)
    assert figures.valid
    assert figures.doubts == ()


def test_one_wrong_answer_voids_the_trial() -> None:
    samples = steady()
    samples.outcome[1000] = WRONG
    figures = summarise(samples, 10, 2.0, 10.0)
    assert figures.wrong_answers == 1
    assert not figures.valid


def test_a_wrong_answer_in_the_warm_up_voids_the_trial_too() -> None:
    samples = steady()
    samples.outcome[0] = WRONG
    figures = summarise(samples, 10, 2.0, 10.0)
    assert not figures.valid
    assert "outside the window" in figures.doubts[0].text


def test_failed_requests_are_counted_and_void_the_trial() -> None:
    samples = steady()
    samples.outcome[1000:1005] = HTTP_ERROR
    figures = summarise(samples, 10, 2.0, 10.0)
    assert figures.errors == 5
    assert figures.ok == figures.requests - 5
    assert not figures.valid


@pytest.mark.parametrize("outcome", [HTTP_ERROR, TIMEOUT, UNFINISHED])
def test_a_request_that_fails_after_the_window_counts_against_it(outcome: int) -> None:
    samples = steady()
    samples.outcome[-1] = outcome
    samples.done_ns[-1] = 40_000_000_000
    samples.due_ns[-1] = 11_900_000_000
    figures = summarise(samples, 10, 2.0, 10.0)
    assert figures.errors == 1
    assert figures.requests == figures.ok + 1
    assert "outside" not in figures.doubts[0].text
    assert not figures.valid


def test_failures_in_the_warm_up_void_the_trial_too() -> None:
    samples = steady()
    samples.outcome[:3] = HTTP_ERROR
    figures = summarise(samples, 10, 2.0, 10.0)
    assert not figures.valid
    assert (figures.errors, figures.errors_outside, figures.requests) == (0, 3, figures.ok)
    assert figures.doubts[0].text.startswith("3 failed requests")
    assert "(3 outside the window)" in figures.doubts[0].text


@pytest.mark.parametrize(("late", "valid"), [(20, True), (21, False)])
def test_more_than_one_late_send_in_a_hundred_voids_the_trial(late: int, valid: bool) -> None:
    samples = steady()
    samples.sent_ns[1000 : 1000 + late] += 10_000_000
    figures = summarise(samples, 10, 2.0, 10.0)
    assert figures.requests == 2000
    assert figures.valid is valid
    assert any("the driver was late" in one.text for one in figures.doubts) is not valid


def test_a_driver_that_did_not_keep_its_clients_busy_breaks_littles_law() -> None:
    figures = summarise(steady(clients=10), 11, 2.0, 10.0)
    assert not figures.valid
    assert "Little's law" in figures.doubts[0].text


def test_a_window_whose_thirds_differ_is_not_steady() -> None:
    samples = steady()
    kept = (samples.done_ns < 8_000_000_000) | (np.arange(len(samples)) % 4 > 0)
    fewer = Samples(*(getattr(samples, name)[kept] for name in Samples.__slots__))
    figures = summarise(fewer, 10, 2.0, 10.0)
    assert any("not steady" in one.text for one in figures.doubts)


def test_thirds_that_differ_as_chance_makes_them_are_steady() -> None:
    samples = steady(clients=1, response_ms=100.0)
    kept = ~((samples.done_ns > 9_000_000_000) & (np.arange(len(samples)) % 5 == 0))
    fewer = Samples(*(getattr(samples, name)[kept] for name in Samples.__slots__))
    figures = summarise(fewer, 1, 2.0, 10.0)
    assert not any("not steady" in one.text for one in figures.doubts)


def test_no_right_answer_is_no_figure_and_no_pass() -> None:
    samples = steady()
    samples.outcome[:] = HTTP_ERROR
    figures = summarise(samples, 10, 2.0, 10.0)
    assert (figures.ok, figures.throughput_rps, figures.latency_ms.p50) == (0, 0.0, None)
    assert not figures.valid
