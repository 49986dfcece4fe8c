"""The tolerance of answers: what it allows, where it comes from, and where it is told."""

import http.server
import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest

from bench.analysis.comparability import Difference, differing_facts
from bench.errors import InvalidRunError, UsageError
from bench.measure.http_client import check
from bench.measure.runtime.registry import load_registry
from bench.model import Environment, ParityResult, Payload, Run, RunSettings
from bench.model.expectations import LabelExpectation
from bench.report import text
from bench.request_sets.comparators import comparison
from bench.verbs import run as run_verb
from bench.verbs.jobs import make_job, with_tolerance
from bench.verbs.parser import build_parser
from tests.bench.plans import plan, run_of, strategy

RIGHT = {"rain": 0.6, "snow": 0.4}


def answer(off: float, label: str = "rain") -> bytes:
    return json.dumps({"prediction": label, "probabilities": {"rain": 0.6 - off, "snow": 0.4 + off}}).encode()


@pytest.mark.parametrize(
    ("off", "tolerance", "right"),
    [
        (0.0, 0.0, True),
        (1e-9, 0.0, False),
        (5e-7, 1e-6, True),
        (2e-6, 1e-6, False),
        (0.0199, 0.02, True),
        (0.0201, 0.02, False),
        (0.04, 0.05, True),
    ],
)
def test_a_probability_may_be_as_far_off_as_the_tolerance_and_no_farther(
    off: float, tolerance: float, right: bool
) -> None:
    found = comparison(LabelExpectation("rain", RIGHT), "json", tolerance)(answer(off))
    assert found.right is right
    assert found.off == pytest.approx(off, abs=1e-12)
    assert bool(found.complaint) is not right


def test_a_requests_own_tolerance_takes_the_place_of_the_strategys() -> None:
    for own, right in ((0.05, True), (0.01, False)):
        compare = comparison(LabelExpectation("rain", RIGHT, own), "json", 0.03)
        assert compare(answer(0.03)).right is right


def test_another_label_is_wrong_however_near_the_probabilities_are() -> None:
    """A tie: the two are equally likely within the tolerance, and the answer names the other."""
    tie = {"rain": 0.501, "snow": 0.499}
    body = json.dumps({"prediction": "snow", "probabilities": {"rain": 0.499, "snow": 0.501}}).encode()
    assert not comparison(LabelExpectation("rain", tie), "json", 0.02)(body).right
    assert comparison(LabelExpectation("snow", tie), "json", 0.02)(body).right


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["rain", "snow"])
def test_what_is_no_finite_number_is_within_no_tolerance(value: float, place: str) -> None:
    body = msgpack.packb({"prediction": "rain", "probabilities": {**RIGHT, place: value}})
    assert not comparison(LabelExpectation("rain", RIGHT), "msgpack", 1.0)(body).right


@contextmanager
def service(body: bytes) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # as the library calls it
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def test_a_check_tells_how_far_off_an_answer_is_even_if_it_is_right() -> None:
    payload = Payload("a.jpg", "small", "json", "application/json", b"x", LabelExpectation("rain", RIGHT))
    with service(answer(0.0199)) as port:
        within = check("127.0.0.1", port, "/", payload, 0.02)
        beyond = check("127.0.0.1", port, "/", payload, 0.001)
    assert within.complaint is None
    assert within.off == pytest.approx(0.0199)
    assert beyond.complaint is not None
    assert "0.0199 off, at most 0.001 may be" in beyond.complaint


def options(*args: str) -> Any:
    words = ["run", *args]
    return run_verb.read(build_parser(["run"]).parse_args(words), words).measure.session


def test_the_option_is_kept_and_refused_if_it_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert options().tolerance == 0.02
    assert options("--tolerance", "0").tolerance == 0
    assert options("--tolerance", "1e-6").tolerance == 1e-6
    for wrong in ("-0.1", "2", "nan", "some"):
        with pytest.raises(SystemExit):
            options(f"--tolerance={wrong}")
    assert "not a difference of probabilities from 0 to 1" in capsys.readouterr().err


def labelled(project: Path, value: str) -> None:
    file = project / "compose.yaml"
    label = f'      bench.strategy: fast\n      bench.tolerance: "{value}"\n'
    file.write_text(file.read_text().replace("      bench.strategy: fast\n", label))


def test_a_label_takes_the_place_of_the_option_for_its_strategy(project: Path) -> None:
    from bench.verbs.arguments import Places

    labelled(project, "0.05")
    session = replace(options("--tolerance", "0.01", "--payloads", "small"))
    made = make_job(session, Places(project, None, None)).plan
    assert {one.name: one.tolerance for one in made.strategies} == {"fast": 0.05, "slow": 0.01}
    assert made.settings().tolerance == 0.01
    assert made.settings().tolerances == {"fast": 0.05}


@pytest.mark.parametrize("value", ["-1", "1.5", "nan", "much"])
def test_a_label_that_is_no_tolerance_is_one_line(project: Path, value: str) -> None:
    labelled(project, value)
    with pytest.raises(UsageError, match=r"bench\.tolerance .*write a number from 0 to 1"):
        load_registry(project)


def test_runs_of_other_tolerances_do_not_compare_and_older_ones_had_the_usual() -> None:
    older, usual, other = (
        Environment(settings=replace(RunSettings(window_s=10.0), **said))
        for said in ({}, {"tolerance": 0.02}, {"tolerance": 0.05})
    )
    assert differing_facts(older, usual) == ()
    assert differing_facts(older, other) == (Difference("settings.tolerance", "0.02", "0.05"),)
    label = Environment(settings=RunSettings(window_s=10.0, tolerance=0.02, tolerances={"fast": 0.05}))
    assert [one.name for one in differing_facts(usual, label)] == ["settings.tolerances.fast"]


def test_only_the_tolerances_of_strategies_that_are_compared_count() -> None:
    def run_with(tolerance: float, **labels: float) -> Environment:
        return Environment(settings=RunSettings(window_s=10.0, tolerance=tolerance, tolerances=labels))

    usual, labelled_ = run_with(0.02), run_with(0.02, fast=0.05)
    assert differing_facts(labelled_, usual, ["slow"]) == ()
    assert differing_facts(labelled_, usual, ["slow", "fast"]) == (
        Difference("settings.tolerances.fast", "0.05", "0.02"),
    )
    # the same tolerance is the same, whether a label says it or the run
    assert differing_facts(labelled_, run_with(0.05), ["fast"]) == ()
    assert differing_facts(usual, run_with(0.05), ["fast", "slow"]) == (
        Difference("settings.tolerance", "0.02", "0.05"),
    )
    assert differing_facts(labelled_, run_with(0.1), ["fast", "slow"]) == (
        Difference("settings.tolerance", "0.02", "0.1"),
        Difference("settings.tolerances.fast", "0.05", "0.1"),
    )


def with_parity(run: Run, off: float, settings: RunSettings) -> Run:
    parity = ParityResult(58, 0, 0.02, off, "small_0.jpg as json")
    strategies = {**run.strategies, "fast": replace(run.strategies["fast"], parity=parity)}
    return replace(run, strategies=strategies, environment=Environment(settings=settings))


def test_the_rule_is_told_with_the_farthest_strategy() -> None:
    run = run_of(plan(), [])
    assert text.right_answers(run) == "each probability within 0.02 of the reference, and the same label"
    told = text.right_answers(with_parity(run, 0.0199, RunSettings(tolerance=0.0, tolerances={"slow": 0.05})))
    assert told == (
        "each probability within 0 of the reference, 0.05 for slow, and the same label; "
        "at most 0.0199 off, fast's"
    )


def test_a_strategy_has_its_label_or_the_runs() -> None:
    assert with_tolerance(strategy("fast"), 0.3).tolerance == 0.3
    assert with_tolerance(replace(strategy("fast"), tolerance=0.0), 0.3).tolerance == 0.0


@pytest.mark.slow
def test_a_run_says_how_far_off_a_service_is_and_refuses_it_if_that_is_too_far(
    bench: Any, project: Path, tmp_path: Path
) -> None:
    code = project / "stub_strategy.py"
    text_ = code.read_text()
    assert "0.9" in text_
    code.write_text(text_.replace("0.9", "0.8801"))
    args = ("run", "--root", project, "--runtime", "process", "--strategies", "fast", "--quick")
    args += ("--payloads", "small", "--window-s", "1", "--warmup-s", "0.5", "--concurrency", "2")
    args += ("--startups", "0", "--loop-seconds", "0")
    done = bench(*args, "--results", tmp_path / "a")
    (folder,) = (tmp_path / "a").iterdir()
    found = json.loads((folder / "run.json").read_text())
    assert found["strategies"]["fast"]["parity"]["largest_difference"] == pytest.approx(0.0199)
    assert found["environment"]["settings"]["tolerance"] == 0.02
    for told in (done.stdout, (folder / "report.md").read_text(), (folder / "report.html").read_text()):
        assert "0.0199" in told
    strict = bench(*args, "--results", tmp_path / "b", "--tolerance", "0.01")
    assert strict.returncode == InvalidRunError.exit_code
    assert "0.0199 off, at most 0.01 may be" in strict.stderr
