"""Runs of strategies that declare less than exact answers, with the command that a user gives."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InvalidRunError
from bench.model import Quality
from bench.run_file import read_run
from tests.bench.conftest import LABELS
from tests.running.ports import free_port

HERE = Path(__file__).parent
Bench = Callable[..., Any]
HELD_OUT = 40
ARGS = (
    *("--runtime", "process", "--payloads", "small", "--concurrency", "2", "--startups", "0"),
    *("--warmup-s", "0.3", "--warmup-most-s", "0.6", "--window-s", "1"),
)
STANZA = """
  {name}-service:
    image: none
    command: ["python", "inexact_strategy.py"]
    environment: {{PORT: "8080", STUB_DELAY_S: "0.005", {environment}}}
    ports: ["127.0.0.1:{port}:8080"]
    tmpfs: [/tmp]
    labels:
      bench.strategy: {name}
      bench.port: "8080"
      bench.path: /predict/
      bench.ready: /ready
      bench.payloads: json,raw
      bench.quality: {quality}
      bench.loop: python inexact_strategy.py loop
"""
# half of all pictures get the other label: so the set may not be small
STRATEGIES = {
    "near": ('INEXACT_OFF: "0.03"', "bounded 0.05"),
    "strict": ('INEXACT_OFF: "0.03"', "exact"),
    "often": ('INEXACT_OFF: "0.3", INEXACT_OTHER: "64"', "agreement 0.5 loss 0.5"),
    "boast": ('INEXACT_OFF: "0.3", INEXACT_OTHER: "64"', "agreement 0.99 loss 0.01"),
    "turns": ('INEXACT_OFF: "0.03", INEXACT_TURNS: "60"', "bounded 0.05"),
}


@pytest.fixture
def inexact(project: Path) -> Path:
    """The project with strategies that are not exact, and a held-out set with true classes."""
    shutil.copy(HERE / "inexact_strategy.py", project)
    stanzas = "".join(
        STANZA.format(name=name, environment=environment, quality=quality, port=free_port())
        for name, (environment, quality) in STRATEGIES.items()
    )
    with (project / "compose.yaml").open("a", encoding="utf-8") as file:
        file.write(stanzas)
    write_held_out(project / "images" / "held_out")
    return project


def write_held_out(folder: Path) -> None:
    """Pictures of which every tenth shows another class than the reference says."""
    folder.mkdir()
    requests = []
    for number in range(HELD_OUT):
        content = os.urandom(500)
        label, other = LABELS if hashlib.sha256(content).digest()[0] % 2 == 0 else LABELS[::-1]
        (folder / f"{number}.jpg").write_bytes(content)
        tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "file": f"{number}.jpg"}
        expect = {
            "compare": "label",
            "label": label,
            "probabilities": {label: 0.9, other: 0.1},
            "truth": label if number % 10 else other,
        }
        requests.append({"name": f"{number}.jpg", "tensors": [tensor], "expect": expect})
    text = json.dumps({"schema_version": 2, "requests": requests})
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def run(bench: Bench, root: Path, results: Path, *args: str) -> tuple[Any, Path]:
    done = bench("run", "--root", root, "--results", results, *ARGS, *args)
    (folder,) = results.iterdir()
    return done, folder


@pytest.mark.slow
def test_a_bounded_strategy_is_timed_and_a_quick_run_does_not_ask_it_the_held_out_set(
    bench: Bench, inexact: Path, tmp_path: Path
) -> None:
    args = ("--quick", "--strategies", "near", "--loop-seconds", "0.3")
    done, folder = run(bench, inexact, tmp_path / "a", *args)
    # a busy machine may void the trial for other reasons
    assert done.returncode in (0, InvalidRunError.exit_code), done.stderr
    found = read_run(folder)
    (trial,) = found.trials
    assert trial.ok > 0
    assert (trial.wrong_answers, trial.wrong_answers_outside) == (0, 0)
    near = found.strategies["near"]
    assert near.quality == Quality("bounded", 0.05)
    assert near.held_out is None
    assert near.parity is not None
    assert near.parity.largest_difference == pytest.approx(0.03)
    assert (near.parity.tolerance, near.parity.wrong) == (0.05, 0)
    assert {loop.part for loop in near.loops} == {"whole", "prepare", "infer"}


@pytest.mark.slow
def test_a_strategy_that_agrees_often_enough_is_compared_with_its_own_answers_everywhere(
    bench: Bench, inexact: Path, tmp_path: Path
) -> None:
    """In its trials, in its loop, in the copies of images and at each start."""
    args = ("--strategies", "often", "--rounds", "1", "--loop-seconds", "0.3")
    done, folder = run(bench, inexact, tmp_path / "a", *args)
    # a busy machine may void the trial for other reasons
    assert done.returncode in (0, InvalidRunError.exit_code), done.stderr
    found = read_run(folder)
    (trial,) = found.trials
    assert trial.ok > 0
    assert (trial.wrong_answers, trial.wrong_answers_outside) == (0, 0)
    often = found.strategies["often"]
    assert often.quality == Quality("agreement", None, 0.5, 0.5)
    assert often.held_out is not None
    assert (often.held_out.answers, often.held_out.truths, often.held_out.reference_right) == (40, 40, 36)
    assert 0.5 <= often.held_out.agreement < 1
    assert often.held_out.largest_difference == pytest.approx(0.5)
    assert {"loop_failed", "copies_wrong"}.isdisjoint(doubt.code for doubt in found.doubts)
    assert {loop.part for loop in often.loops} == {"whole", "prepare", "infer"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("strict", "a probability is 0.03 off, at most 0.02 may be"),
        ("boast", "boast declares agreement 0.99 loss 0.01 and agrees on 0."),
    ],
)
def test_a_strategy_that_does_not_hold_what_it_declares_is_not_timed(
    name: str, told: str, bench: Bench, inexact: Path, tmp_path: Path
) -> None:
    done, folder = run(bench, inexact, tmp_path / "a", "--quick", "--strategies", name, "--loop-seconds", "0")
    assert done.returncode == InvalidRunError.exit_code
    assert told in done.stderr
    found = read_run(folder)
    assert found.trials == ()
    assert (found.strategies[name].held_out is not None) is (name == "boast")


@pytest.mark.slow
def test_an_answer_that_is_not_its_own_voids_although_it_is_near_the_reference(
    bench: Bench, inexact: Path, tmp_path: Path
) -> None:
    done, folder = run(
        bench, inexact, tmp_path / "a", "--quick", "--strategies", "turns", "--loop-seconds", "0"
    )
    assert done.returncode == InvalidRunError.exit_code
    (trial,) = read_run(folder).trials
    assert trial.wrong_answers > 0
    assert not trial.valid
    assert "wrong_answers" in {doubt.code for doubt in trial.doubts}
