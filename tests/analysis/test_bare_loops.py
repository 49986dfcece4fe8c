"""How near a service comes to its own bare loop, and what of a request no stage times."""

from dataclasses import replace

import pytest

from bench.analysis.bare_loops import limit_shares, own_limit
from bench.analysis.stage_costs import response, work
from bench.analysis.summary import Row, summarise
from bench.model import (
    BatchFigures,
    ClosedLoad,
    Environment,
    LoopResult,
    OpenLoad,
    Run,
    ServerFigures,
    StageFigures,
    StrategyResult,
)
from bench.report.json_summary import summary_json
from bench.report.run_screen import render
from tests.analysis.test_comparisons import made, rounds

WHOLE = LoopResult("small", (120.0, 125.0, 130.0), (8.0, 8.0, 8.0))
PREPARE = LoopResult("small", (400.0,) * 3, (2.5,) * 3, "prepare")


def looped(run: Run, name: str, *loops: LoopResult) -> Run:
    return replace(
        run, strategies={**run.strategies, name: StrategyResult(name, None, None, loops=tuple(loops))}
    )


def infer(batch: int) -> LoopResult:
    return LoopResult("small", (400.0,) * 3, (2.5,) * 3, "infer", batch)


def test_the_limit_is_the_whole_loop() -> None:
    run = looped(made(rounds("onnx", ClosedLoad(50, 2, 10), 100)), "onnx", WHOLE, PREPARE, infer(1))
    (found,) = limit_shares(run, summarise(run))
    assert found.of_rate is not None
    assert found.of_rate.centre == pytest.approx(100 / 125, rel=0.01)
    # a trial of 100 requests/s takes 5 CPU-ms a request
    assert found.of_cpu is not None
    assert found.of_cpu.centre == pytest.approx(8 / 5, rel=0.02)


def test_an_engine_that_takes_batches_has_the_limit_of_its_parts_in_batches() -> None:
    run = looped(made(rounds("batched", ClosedLoad(50, 2, 10), 100)), "batched", WHOLE, PREPARE, infer(16))
    limit = own_limit(run.strategies["batched"], "small")
    assert limit is not None
    assert limit.batch_size == 16
    assert limit.requests_per_s == pytest.approx((200.0,) * 3), "2.5 ms to prepare and 2.5 to infer"
    assert limit.cpu_ms_per_request == pytest.approx((5.0,) * 3)


def test_a_schedule_sets_the_throughput_so_that_cpu_time_alone_tells() -> None:
    run = looped(made(rounds("onnx", OpenLoad(40, 2, 10), 40)), "onnx", WHOLE)
    (found,) = limit_shares(run, summarise(run))
    assert found.of_rate is None
    assert found.of_cpu is not None


def test_without_a_loop_of_these_payloads_nothing_is_said() -> None:
    run = made(rounds("onnx", ClosedLoad(50, 2, 10), 100))
    for one in (run, looped(run, "onnx", replace(WHOLE, payload_class="seed"))):
        assert limit_shares(one, summarise(one)) == ()
        assert "bare loop" not in render(one, 100)
        assert {row["of_limit"] for row in summary_json(one)["rows"]} == {None}


def test_the_screen_and_the_document_say_the_share() -> None:
    run = looped(made(rounds("onnx", ClosedLoad(50, 2, 10), 100)), "onnx", WHOLE)
    (row,) = summary_json(run)["rows"]
    assert row["of_limit"] is not None
    assert row["of_limit"]["of_rate"] is not None
    share = row["of_limit"]["of_rate"]["centre"]
    assert f"of its own bare loop: onnx {100 * share:.1f}%" in render(run, 100)


def staged(clients: int, rate: float, cores: str = "1", batch: float = 1.0) -> tuple[Run, Row]:
    """A service of one strategy with stages, and its only row."""
    stages = {
        stage: StageFigures(ms, 100) for stage, ms in {"decode": 1.0, "queue": 0.5, "infer": 2.0}.items()
    }
    told = ServerFigures(stages, BatchFigures(batch, {}))
    trials = [replace(one, server=told) for one in rounds("onnx", ClosedLoad(clients, 2, 10), rate)]
    run = made(trials, environment=Environment(service_cores=cores))
    return run, next(iter(summarise(run).rows.values()))


def test_cpu_time_beyond_the_stages_is_overhead_on_one_core_alone() -> None:
    run, row = staged(50, 100)
    cpu = row.estimates["cpu"]
    assert cpu is not None
    found = work(run, row)
    assert found.stages_ms == {"decode": 1.0, "infer": 2.0}, "a request that waits does no work"
    assert found.overhead_ms == pytest.approx(cpu.centre - 3)
    assert work(*staged(50, 100, "0-1")).overhead_ms is None, "a stage may use two cores"
    assert work(*staged(50, 100, batch=4.0)).overhead_ms == pytest.approx(cpu.centre - 1.5)


def test_stages_that_take_longer_than_the_cpu_time_leave_nothing_over() -> None:
    run, row = staged(50, 500)
    assert row.estimates["cpu"] is not None
    assert work(run, row).overhead_ms is None


def test_the_response_time_of_one_client_beyond_the_stages_is_overhead() -> None:
    _, row = staged(1, 100)
    rate = row.estimates["throughput"]
    assert rate is not None
    assert response(row).overhead_ms == pytest.approx(1000 / rate.centre - 3.5)
