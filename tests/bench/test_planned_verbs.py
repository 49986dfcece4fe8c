"""`bench plan` of each verb that measures: what it would do, and how long it takes; nothing is measured."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.measure.outlook import Outlook, outlook
from bench.measure.steps.slo_search import MOST_PROBES, USUAL_PROBES
from bench.measure.steps.trial import TrialStep
from bench.run_file import write_run
from bench.verbs.arguments import Places
from bench.verbs.jobs import make_job
from tests.bench.test_verb_options import session
from tests.gate.runs import EQUAL, run_of

RULES = """
[run]
rounds = 4
window_s = 2.0
warmup_s = 1.0
long_s = 0
concurrency = 6
payloads = ["small"]

[[primary]]
strategy = "fast"
metric = "throughput"
tolerance = "5%"

[[limit]]
metric = "wrong_answers"
most = 0
"""
Plan = Callable[..., tuple[list[str], str]]


@pytest.fixture
def plan(project: Path, capsys: pytest.CaptureFixture[str]) -> Plan:
    """The lines of a plan, and what was said beside them."""

    def call(*words: str) -> tuple[list[str], str]:
        verb = words[:1] if words[:1] and not words[0].startswith("-") else ()
        assert main(["plan", *verb, "--root", str(project), *words[len(verb) :]]) == 0
        told = capsys.readouterr()
        assert not (project / "results").exists()
        return told.out.splitlines(), told.err

    return call


@pytest.fixture
def repository(project: Path) -> Path:
    """The project as a git repository with gate.toml, one commit, tagged `before`."""
    (project / "gate.toml").write_text(RULES)
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "As it was"], ["tag", "before"]):
        subprocess.run(["git", *identity, *words], cwd=project, check=True)
    return project


def test_a_plan_without_a_verb_is_that_of_run(plan: Plan) -> None:
    options = ("--rounds", "2", "--startups", "3")
    assert plan("run", *options) == plan(*options)


def test_the_plan_of_a_search_has_its_capacities_and_its_searches(plan: Plan) -> None:
    lines, _ = plan("slo", "--p99", "50ms", "--payloads", "small")
    assert {"capacity fast small", "objective fast small", "objective slow small"} <= set(lines)
    assert not [line for line in lines if ": trial " in line]
    assert lines[-1].startswith("at most ")
    assert "every search tries as often as it may" in lines[-1]


def test_the_plan_of_a_comparison_with_itself_has_both_names_in_six_rounds(plan: Plan) -> None:
    for quick in ((), ("--quick",)):
        lines, said = plan("aa", "--strategies", "fast", "--payloads", "small", *quick)
        trials = [line for line in lines if ": trial " in line]
        assert len([one for one in trials if one.endswith("trial fast-again small")]) == 6
        assert len(trials) == 12
        assert said == ""


@pytest.mark.parametrize(
    ("rounds", "told"), [(1, "one round has no intervals"), (5, "in 5 rounds the signs")]
)
def test_too_few_rounds_of_a_comparison_with_itself_are_told_beforehand(
    plan: Plan, rounds: int, told: str
) -> None:
    _, said = plan("aa", "--rounds", str(rounds))
    assert said.startswith(f"bench: {told}")
    assert said.count("\n") == 1
    assert "take 6 rounds" in said


def test_the_plan_of_a_gate_has_pairs_as_the_rules_say(plan: Plan, repository: Path) -> None:
    del repository
    lines, _ = plan("gate", "--against", "before")
    pairs = [line for line in lines if ": pair " in line]
    assert pairs == [f"round {number}: pair fast small" for number in (1, 2, 3, 4)]
    assert "a regression is measured a second time" in lines[-1]
    fewer, _ = plan("gate", "--against", "before", "--rounds", "3")
    assert len([line for line in fewer if ": pair " in line]) == 3
    # limits alone are judged at once
    alone, _ = plan("gate", "--against", "before", "--deterministic")
    assert "second time" not in alone[-1]


def test_a_gate_against_a_commit_that_is_not_there_fails_as_the_gate_does(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--against", "nowhere", "--root", str(repository)]
    told = []
    for verb in (["plan", "gate"], ["gate", "--runtime", "process"]):
        assert main([*verb, *words]) == 2
        told.append(capsys.readouterr().err.splitlines()[-1])
    assert told[0] == told[1]
    assert "nowhere" in told[0]


def test_a_gate_that_measures_nothing_says_so(
    plan: Plan, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del repository
    for name in ("base", "head"):
        (tmp_path / name).mkdir()
        write_run(run_of({"fast": EQUAL}), tmp_path / name)
    stored = ("--baseline", str(tmp_path / "base"), "--head", str(tmp_path / "head"))
    lines, _ = plan("gate", *stored)
    assert lines == ["nothing is measured: what was measured before is judged, within seconds"]
    told = json.loads("\n".join(plan("gate", *stored, "--json")[0]))
    assert (told["steps"], told["minutes"]) == ([], 0.0)
    assert main(["plan", "gate", "--again", str(tmp_path / "base")]) == 2
    assert "was not measured by `gate --against`" in capsys.readouterr().err


def test_a_plan_for_programs_has_both_estimates_and_more_rounds_take_longer(plan: Plan) -> None:
    def told(*words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads("\n".join(plan(*words, "--json")[0]))
        return found

    for verb in ("run", "aa"):
        few, many = told(verb, "--rounds", "6"), told(verb, "--rounds", "12")
        assert few["schema"] == 1
        assert 0 < few["minutes"] <= few["most_minutes"]
        assert few["minutes"] < many["minutes"]
        assert len(few["steps"]) < len(many["steps"])


def test_the_estimate_grows_with_windows_and_its_most_with_warm_ups(project: Path) -> None:
    def found(line: str) -> tuple[float, float]:
        one = outlook(make_job(session(line), Places(project, None, None)).plan)
        return one.usual_s, one.most_s

    usual, most = found("aa --rounds 6 --window-s 10 --warmup-s 2 --warmup-most-s 2")
    trials = 6 * 4 * 2
    assert found("aa --rounds 6 --window-s 11 --warmup-s 2 --warmup-most-s 2") == pytest.approx(
        (usual + trials, most + trials)
    )
    assert found("aa --rounds 6 --window-s 10 --warmup-s 2 --warmup-most-s 5") == pytest.approx(
        (usual, most + 3 * trials)
    )
    # a quick window may last four times as long as planned, unless its length is given
    quick, given = found("aa --quick --rounds 6"), found("aa --quick --rounds 6 --window-s 4")
    assert (quick[0], quick[1] - given[1]) == pytest.approx((given[0], 12 * trials))
    # a search tries the rates that it needs: the estimate is of as many as it usually takes
    once, longer = (
        found(f"slo --p90 5s --payloads small --window-s {s} --warmup-most-s 4") for s in (10, 11)
    )
    searches, capacities = 2, 2
    assert longer[0] - once[0] == pytest.approx(searches * USUAL_PROBES + capacities)
    assert longer[1] - once[1] == pytest.approx(searches * MOST_PROBES + 2 * capacities)


def test_a_closed_loop_that_shares_rest_on_may_be_made_twice(project: Path) -> None:
    def found(line: str) -> Outlook:
        windows = "--rounds 6 --window-s 10 --warmup-s 2 --warmup-most-s 2 --startups 0 --loop-seconds 0"
        return outlook(make_job(session(f"run {windows} {line}"), Places(project, None, None)).plan)

    closed, shares = found("--concurrency 50,60"), found("--concurrency 60 --load 50%")
    assert shares.usual_s == pytest.approx(closed.usual_s)
    again = 6 * 2 * 2 * (TrialStep.overhead_s + 12)
    assert shares.most_s - closed.most_s == pytest.approx(again)
    # a rate that is named rests on nothing
    assert found("--concurrency 60 --rate 50").most_s == pytest.approx(closed.most_s)
    assert "is made twice" in shares.why_most
    assert "is made twice" not in closed.why_most
    # two clients' loops: the largest shows the capacity
    both = found("--concurrency 50,60 --common-load 50%")
    assert both.most_s - found("--concurrency 50,60,70").most_s == pytest.approx(again)


@pytest.mark.parametrize("verb", ["", "run", "slo --p99 50ms", "aa", "gate --against before"])
def test_cores_that_this_machine_lacks_are_refused_as_the_verb_would(
    repository: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    for option in ("--service-cores", "--driver-cores"):
        words = [*verb.split(), "--root", str(repository), option, "4000"]
        assert main(["plan", *words]) == 2
        told = capsys.readouterr().err
        assert told.startswith("bench: core 4000 is not available: choose among ")
        assert main(words if verb else ["run", *words]) == 2
        assert capsys.readouterr().err.endswith(told)


def test_the_plan_of_a_gate_says_what_no_compose_could_read(
    plan: Plan, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the plan of a run does."""
    del repository
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(programs))
    said = [plan(*verb)[1] for verb in (["run"], ["gate", "--against", "before"])]
    assert said[0].startswith("bench: ")
    assert "there is no docker command here" in said[0]
    assert said[1] == said[0]


def test_what_is_left_of_a_run_is_not_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "run", "--resume", "results/cut"]) == 2
    assert "`run --resume` says first how long it takes" in capsys.readouterr().err


def test_options_before_the_verb_are_refused_and_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--rounds", "3", "aa"]) == 2
    assert "options follow the verb that is planned: `plan aa --rounds …`" in capsys.readouterr().err


def test_a_plan_has_no_form_of_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "gate", "--against", "HEAD", "--format", "markdown"]) == 2
    assert "leave out --format markdown" in capsys.readouterr().err
