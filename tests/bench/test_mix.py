"""Several classes in one load, by weight: what is sent, what is told of each class, and what is refused."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.analysis.mixed_classes import class_rows
from bench.analysis.run_analysis import analyse
from bench.errors import UsageError
from bench.load.launch import Drive, Target
from bench.measure.payloads import mixed, payload_sets, varied_copies
from bench.measure.steps.loop import can_loop
from bench.measure.steps.repeat import originals
from bench.model import ClosedLoad, OpenLoad
from bench.model.expectations import NoExpectation
from bench.report import write_report
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import SetRequest, WholeBody
from bench.run_file import read_run, write_run
from bench.verbs import run as run_verb
from bench.verbs.arguments import Places
from bench.verbs.jobs import make_job
from bench.verbs.parser import build_parser

MIX = (("small", 9.0), ("seed", 1.0))


def session(*args: str) -> Any:
    words = ["run", *args]
    return run_verb.read(build_parser(["run"]).parse_args(words), words).measure.session


def test_classes_share_the_requests_by_weight_and_their_requests_share_those(project: Path) -> None:
    requests = read_request_set(project / "images").requests
    heavy = [replace(one, weight=3) if one.name == "small_0.jpg" else one for one in requests]
    together = mixed(payload_sets(heavy, ["small", "seed"], ["json", "raw"]), MIX)
    assert list(together) == [("mix", "json"), ("mix", "raw")]
    weights = Counter[str]()
    for one in together["mix", "json"]:
        assert one.payload_class == "mix"
        weights[one.mixed_from] += one.weight  # type: ignore[assignment]  # a Counter of floats
    assert weights == pytest.approx({"small": 9.0, "seed": 1.0})
    of_small = {one.name: one.weight for one in together["mix", "json"] if one.mixed_from == "small"}
    assert of_small == pytest.approx({"small_0.jpg": 5.4, "small_1.jpg": 1.8, "small_2.jpg": 1.8})
    assert not can_loop(together["mix", "json"])


def test_copies_are_of_the_same_sizes_as_what_they_are_compared_with(project: Path) -> None:
    """Else repeated payloads, of which most are small, would look as if a cache answered them."""
    requests = read_request_set(project / "images").requests
    together = mixed(payload_sets(requests, ["small", "seed"], ["json"]), MIX)["mix", "json"]
    copies = varied_copies(originals(together, requests), "json", 1000)
    assert len(copies) == 1000
    assert {one.weight for one in copies} == {1.0}
    for half in (copies[:500], copies[500:]):
        assert sum(one.payload_class == "small" for one in half) == pytest.approx(450, abs=12)
    equal = payload_sets(requests, ["small"], ["json"])["small", "json"]
    assert [one.name for one in originals(equal, requests)] == [one.name for one in equal]


def test_a_mix_of_two_kinds_of_bodies_is_refused(project: Path) -> None:
    requests = read_request_set(project / "images").requests
    whole = SetRequest("whole", WholeBody(b"{}", "application/json"), NoExpectation(), "whole")
    sets = payload_sets([*requests, whole], ["small", "whole"], ["json"])
    with pytest.raises(UsageError, match=r"--mix needs one encoding .* small json, whole as-is: mix others"):
        mixed(sets, (("small", 1.0), ("whole", 1.0)))


@pytest.mark.parametrize("text", ["small", "small=", "small=0", "small=-1", "small=nan", "=1", "a=1,a=2"])
def test_a_mix_that_is_none_is_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        session("--mix", text)
    assert capsys.readouterr().err.strip()


def test_the_mix_takes_the_place_of_the_classes(project: Path) -> None:
    asked = session("--mix", "small=9, seed=1")
    assert asked.mix == MIX
    plan = make_job(asked, Places(project, None, None)).plan
    assert list(plan.payloads) == [("mix", "json")]
    assert plan.settings().mix == {"small": 9.0, "seed": 1.0}
    with pytest.raises(UsageError, match="--mix names the classes too: leave out --payloads"):
        session("--mix", "small=1", "--payloads", "seed")
    with pytest.raises(UsageError, match="no request of class large"):
        make_job(session("--mix", "large=1"), Places(project, None, None))


def by_chance(share: float, draws: int) -> float:
    """What the share of so many draws differs by at most, but for once in a million."""
    return float(5 * np.sqrt(share * (1 - share) / draws))


@pytest.mark.parametrize("load", [ClosedLoad(4, 0.2, 1.5), OpenLoad(200, 0.2, 1.5)])
def test_a_driver_sends_the_classes_by_weight(
    stub_server: Callable[..., int], project: Path, tmp_path: Path, load: ClosedLoad | OpenLoad
) -> None:
    requests = read_request_set(project / "images").requests
    payloads = mixed(payload_sets(requests, ["small", "seed"], ["json"]), MIX)["mix", "json"]
    driving = Drive(Target("127.0.0.1", stub_server(delay_s=0.002), "/predict/"), payloads, load, 1, tmp_path)
    try:
        samples = driving.finish().samples
    finally:
        driving.close()
    own = np.array([one.mixed_from for one in payloads])[samples.payload]
    assert np.mean(own == "seed") == pytest.approx(0.1, abs=by_chance(0.1, len(samples)))
    seeds = samples.where(own == "seed")
    assert len(seeds) == int(np.sum(own == "seed"))


@pytest.mark.slow
def test_a_run_tells_the_latency_of_each_class(bench: Any, project: Path, tmp_path: Path) -> None:
    args = ("run", "--root", project, "--runtime", "process", "--strategies", "fast", "--quick")
    args += ("--mix", "small=3,seed=1", "--window-s", "2", "--warmup-s", "0.5", "--concurrency", "2")
    done = bench(*args, "--startups", "0", "--loop-seconds", "0", "--results", tmp_path / "a")
    (folder,) = (tmp_path / "a").iterdir()
    found = json.loads((folder / "run.json").read_text())
    (trial,) = found["trials"]
    classes = {one["payload_class"]: one for one in trial["by_class"]}
    assert set(classes) == {"small", "seed"}, done.stderr
    assert sum(one["ok"] for one in classes.values()) == trial["ok"]
    assert classes["small"]["ok"] / trial["ok"] == pytest.approx(0.75, abs=by_chance(0.75, trial["ok"]))
    assert all(one["latency_ms"]["p50"] > 5 for one in classes.values())
    run = read_run(folder)
    # a busy machine may have voided the trial: what a report shows of a valid trial hangs on no machine
    calm = replace(run, trials=tuple(replace(one, valid=True, doubts=()) for one in run.trials))
    write_run(calm, folder)
    write_report(folder, run=calm)
    assert [one.case.payload_class for one in class_rows(calm, analyse(calm, folder).summary)] == [
        "mix",
        "mix",
    ]
    report = (folder / "report.md").read_text()
    assert "## Latency by class" in report
    assert "The weights of the classes: small 3 and seed 1." in report
    assert "Latency by class" in (folder / "report.html").read_text()
