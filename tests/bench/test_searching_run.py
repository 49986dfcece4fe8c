"""Runs that are more than rounds of a closed loop: shares of capacity, objectives, A/A, encodings."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
SHORT = (
    *("--runtime", "process", "--payloads", "small", "--warmup-s", "0.3", "--warmup-most-s", "0.6"),
    *("--window-s", "1.5", "--startups", "0", "--warm-startups", "0", "--loop-seconds", "0"),
)


@pytest.fixture
def measured(bench: Bench, project: Path) -> Callable[..., tuple[dict[str, Any], str, str]]:
    def call(verb: str, *options: str) -> tuple[dict[str, Any], str, str]:
        done = bench(verb, "--root", project, *SHORT, *options)
        (folder,) = (project / "results").iterdir()
        found = json.loads((folder / "run.json").read_text())
        valid = any(trial["valid"] for trial in found["trials"])
        assert done.returncode == (0 if valid else 4), done.stderr
        return found, done.stdout, (folder / "report.md").read_text()

    return call


Measured = Callable[..., tuple[dict[str, Any], str, str]]


def test_a_share_of_capacity_is_a_rate_of_its_own_for_each_strategy(measured: Measured) -> None:
    found, _, report = measured("run", "--quick", "--rounds", "1", "--load", "50%", "--concurrency", "4")
    capacity = {one["strategy"]: one["throughput_rps"] for one in found["capacities"]}
    # the stubs answer after 5 and 20 ms
    assert capacity["fast"] > 2 * capacity["slow"]
    shares = [t for t in found["trials"] if t["load"].get("share")]
    assert {t["strategy"] for t in shares} == {"fast", "slow"}
    for one in shares:
        assert one["load"]["rate_per_s"] == pytest.approx(capacity[one["strategy"]] / 2, abs=0.001)
        assert one["load"]["name"] == "s50"
    assert "50% of capacity" in report


def test_a_search_finds_a_rate_and_keeps_every_probe(measured: Measured) -> None:
    found, out, report = measured("slo", "--quick", "--p90", "200ms", "--strategies", "slow")
    (result,) = found["objectives"]
    assert (result["strategy"], result["quantile"], result["bound_ms"]) == ("slow", 0.9, 200.0)
    assert len(result["probes"]) == len(found["trials"])
    assert result["probes"][0]["rate_per_s"] == pytest.approx(result["capacity_rps"] / 20, rel=0.01)
    for probe in result["probes"]:
        assert probe["held"] or probe["why_not"]
    if result["rate_per_s"] is not None:
        assert result["goodput_rps"] <= result["capacity_rps"] * 1.2
        assert f"{result['rate_per_s']:g}"[:2] in out + report
    assert found["planned_trials"] == 0
    assert "200 ms" in report


def test_an_objective_that_no_rate_holds_says_so(measured: Measured) -> None:
    found, _, report = measured("slo", "--quick", "--p50", "2ms", "--strategies", "slow")
    (result,) = found["objectives"]
    assert result["rate_per_s"] is None
    assert len(result["probes"]) <= 2
    assert "2 ms" in report


def test_a_strategy_against_itself_ends_with_what_the_machine_tells_apart(measured: Measured) -> None:
    found, out, _ = measured("aa", "--quick", "--rounds", "3", "--strategies", "fast", "--concurrency", "4")
    assert list(found["strategies"]) == ["fast", "fast-again"]
    assert {(t["strategy"], t["round"]) for t in found["trials"]} == {
        (name, number) for name in ("fast", "fast-again") for number in (1, 2, 3)
    }
    assert "tells apart" in out or "told apart" in out


def test_encodings_are_cases_of_their_own(measured: Measured) -> None:
    found, _, report = measured(
        "run", "--quick", "--rounds", "1", "--strategies", "fast", "--encoding", "json,raw", "--price", "0.04"
    )
    assert {t["encoding"] for t in found["trials"]} == {"json", "raw"}
    assert {one["encoding"] for one in found["ceilings"]} == {"json", "raw"}
    assert found["price_per_core_hour"] == 0.04
    assert "million requests" in report


def test_two_driver_processes_drive_one_load(measured: Measured) -> None:
    found, _, _ = measured(
        "run", "--quick", "--rounds", "1", "--strategies", "fast", "--concurrency", "4", "--workers", "2"
    )
    (trial,) = found["trials"]
    assert trial["driver"]["workers"] == 2
    assert trial["driver"]["lost_workers"] == 0
    assert trial["ok"] > 0


def test_a_service_that_keeps_answers_is_found(measured: Measured, project: Path) -> None:
    text = (project / "compose.yaml").read_text()
    (project / "compose.yaml").write_text(
        text.replace("STUB_DELAY_S:", 'STUB_KEEPS: "1"\n      STUB_DELAY_S:')
    )
    found, _, _ = measured("run", "--rounds", "2", "--strategies", "slow", "--concurrency", "4")
    (check,) = found["repeats"]
    assert check["repeated_rps"] > 1.5 * check["varied_rps"]
    assert any("it seems to keep answers" in text for text in found["warnings"])


def test_a_service_that_computes_every_answer_passes(measured: Measured) -> None:
    found, _, _ = measured("run", "--rounds", "2", "--strategies", "slow", "--concurrency", "4")
    (check,) = found["repeats"]
    assert check["repeated_rps"] < 1.5 * check["varied_rps"]
