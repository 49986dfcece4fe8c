"""Runs that are more than rounds of a closed loop: shares of capacity, objectives, A/A, encodings."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.running.exit_codes import code_of

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
SHORT = (
    *("--runtime", "process", "--payloads", "small", "--warmup-s", "0.3", "--warmup-most-s", "0.6"),
    *("--window-s", "1.5"),
)
ONLY_TRIALS = ("--startups", "0", "--warm-startups", "0", "--loop-seconds", "0")


@pytest.fixture
def measured(bench: Bench, project: Path) -> Callable[..., tuple[dict[str, Any], str, str]]:
    def call(verb: str, *options: str) -> tuple[dict[str, Any], str, str]:
        alone = ONLY_TRIALS if verb == "run" else ()
        done = bench(verb, "--root", project, *SHORT, *alone, *options)
        (folder,) = (project / "results").iterdir()
        found = json.loads((folder / "run.json").read_text())
        assert done.returncode == code_of(found), done.stderr
        return found, done.stdout, (folder / "report.md").read_text()

    return call


Measured = Callable[..., tuple[dict[str, Any], str, str]]


# the same of capacities that are given: tests/bench/test_shares.py
@pytest.mark.alone
def test_a_share_of_capacity_is_a_rate_of_its_own_for_each_strategy(measured: Measured) -> None:
    options = ("--load", "50%", "--common-load", "60%", "--concurrency", "4", "--baseline", "slow")
    found, out, report = measured("run", "--quick", "--rounds", "1", *options)
    closed = [t for t in found["trials"] if t["load"]["kind"] == "closed"]
    capacity = {one["strategy"]: one["throughput_rps"] for one in closed if one["valid"]}
    if len(capacity) < 2:
        pytest.skip("the host spoiled a closed loop, and what then happens is shown without a host")
    assert found["capacities"] == []
    common = [t for t in found["trials"] if t["load"].get("of_slowest")]
    (rate,) = {t["load"]["rate_per_s"] for t in common}
    assert rate == pytest.approx(0.6 * min(capacity.values()), abs=0.001)
    assert (found["baseline"], found["options"]["baseline"]) == ("slow", "slow")
    assert "throughput ratio to slow" in report
    shares = [t for t in found["trials"] if t["load"].get("share") and t not in common]
    assert {t["strategy"] for t in shares} == {"fast", "slow"}
    for one in shares:
        assert one["load"]["rate_per_s"] == pytest.approx(capacity[one["strategy"]] / 2, abs=0.001)
        assert one["load"]["share"] == 0.5
    assert "50% of capacity" in report
    assert "60% of the slowest's capacity" in out


# a busy host spoils probes, which are then made again, for minutes: tests/bench/test_slo_search.py and
# test_noisy_search.py search services that are made up
@pytest.mark.alone
def test_a_search_finds_a_rate_and_keeps_every_probe(measured: Measured) -> None:
    # so generous that most rates hold: a search by more probes is shown on made-up services
    found, out, report = measured("slo", "--quick", "--p90", "5s", "--strategies", "slow")
    (result,) = found["objectives"]
    assert (result["strategy"], result["quantile"], result["bound_ms"]) == ("slow", 0.9, 5000.0)
    assert len(result["probes"]) == len(found["trials"])
    assert result["probes"][0]["rate_per_s"] == pytest.approx(result["capacity_rps"] / 10, rel=0.01)
    for probe in result["probes"]:
        assert probe["held"] or probe["why_not"]
    if result["rate_per_s"] is not None:
        # of so few arrivals a window may have half as many again
        assert result["goodput_rps"] <= 2 * result["rate_per_s"]
        assert f"{result['rate_per_s']:g}"[:2] in out + report
    assert found["planned_trials"] == 0


# a copy ends by SIGKILL after so many requests to it, beyond the first so many copies
DYING = """
import os, pathlib, signal
import stub_strategy

copies = pathlib.Path("copies")
begun = len(copies.read_text()) if copies.exists() else 0
copies.write_text("x" * (begun + 1))
whole = begun < int(os.environ["WHOLE_COPIES"])
stub_strategy.DIE_AFTER = 0 if whole else 30
stub_strategy.os._exit = lambda code: os.kill(os.getpid(), signal.SIGKILL)
stub_strategy.Server(("127.0.0.1", int(os.environ["PORT"])), stub_strategy.Handler).serve_forever()
"""


def dying(project: Path, whole_copies: int) -> None:
    """The strategy slow ends by itself in each copy after the first ones."""
    (project / "dying.py").write_text(DYING)
    head, slow = (project / "compose.yaml").read_text().split("  slow-service:")
    slow = slow.replace('["python", "stub_strategy.py"]', '["python", "dying.py"]', 1)
    slow = slow.replace("    environment:\n", f'    environment:\n      WHOLE_COPIES: "{whole_copies}"\n', 1)
    (project / "compose.yaml").write_text(f"{head}  slow-service:{slow}")


def test_a_strategy_without_a_capacity_leaves_the_others_searched(measured: Measured, project: Path) -> None:
    """Its first copy answers all that parity asks, and every other copy ends under load.

    The other takes 5 ms, so that it misses the objective at every rate, which is soon known.
    """
    dying(project, 1)
    found, out, report = measured("slo", "--quick", "--p90", "1ms")
    results = {one["strategy"]: one for one in found["objectives"]}
    assert set(results) == {"fast", "slow"}
    slow = results["slow"]
    assert (slow["known"], slow["probes"]) == (False, [])
    assert (slow["capacity_rps"], slow["rate_per_s"]) == (None, None)
    assert "the process exited with -9" in slow["why_none"]
    # a busy machine may spoil its capacity as well
    assert results["fast"]["probes"] or results["fast"]["capacity_rps"] is None, (
        "the search of the other went on"
    )
    assert not any(one["code"] == "incomplete" for one in found["doubts"])
    assert "slow is not known to hold at a rate" in " ".join(report.split())
    assert "slow not known" in " ".join(out.split())


@pytest.mark.alone
def test_a_service_that_dies_in_every_probe_never_holds_since_it_exited(
    measured: Measured, project: Path
) -> None:
    dying(project, 2)
    found, _, report = measured("slo", "--quick", "--p90", "5s", "--strategies", "slow")
    (slow,) = found["objectives"]
    if not slow["probes"]:
        pytest.skip("the host spoiled the capacity, and what then happens is shown above")
    assert slow["rate_per_s"] is None
    assert "the process exited with -9" in slow["why_none"]
    for probe in slow["probes"]:
        assert probe["code"] == "exited" if probe["known"] else "exited with -9" in probe["why_not"]
    assert "exited with -9" in report


def test_a_strategy_against_itself_ends_with_what_the_machine_tells_apart(measured: Measured) -> None:
    found, out, _ = measured("aa", "--quick", "--rounds", "2", "--strategies", "fast", "--concurrency", "4")
    assert list(found["strategies"]) == ["fast", "fast-again"]
    assert {(t["strategy"], t["round"]) for t in found["trials"]} == {
        (name, number) for name in ("fast", "fast-again") for number in (1, 2)
    }
    # a busy machine may void a trial, and of one round nothing can be said
    whole = all(trial["valid"] for trial in found["trials"])
    assert ("The detectable change on this machine" if whole else "A/A of fast") in " ".join(out.split())


@pytest.mark.nightly
def test_two_driver_processes_drive_two_encodings_at_a_price(measured: Measured) -> None:
    options = ("--strategies", "fast", "--encoding", "json,raw", "--price", "0.04", "--workers", "2")
    found, _, report = measured("run", "--quick", "--rounds", "1", "--concurrency", "4", *options)
    assert {t["encoding"] for t in found["trials"]} == {"json", "raw"}
    assert {one["encoding"] for one in found["ceilings"]} == {"json", "raw"}
    for trial in found["trials"]:
        assert (trial["driver"]["workers"], trial["driver"]["lost_workers"]) == (2, 0)
        assert trial["ok"] > 0
    assert found["price_per_core_hour"] == 0.04
    assert "million requests" in report


@pytest.mark.alone
def test_a_service_that_keeps_answers_is_told_from_one_that_computes_them(
    measured: Measured, project: Path
) -> None:
    text = (project / "compose.yaml").read_text()
    both = text.replace('STUB_DELAY_S: "0.005"', 'STUB_KEEPS: "1"\n      STUB_DELAY_S: "0.02"')
    assert both != text
    (project / "compose.yaml").write_text(both)
    found, _, _ = measured("run", "--rounds", "1", "--concurrency", "4")
    ratio = {one["strategy"]: one["repeated_rps"] / one["varied_rps"] for one in found["repeats"]}
    assert ratio["fast"] > 1.5
    assert ratio["slow"] < 1.5
    assert any(one["text"].startswith("fast answers repeated payloads") for one in found["doubts"])
