"""What a report says of long trials: what windows stand for, and when nobody knows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.run_analysis import analyse
from bench.model import LongTrial, Run, UptimeChange, UptimeSpan
from bench.report.document import Paragraph
from bench.report.sections.uptimes import HOW, NOTHING_LATER, SAME, uptimes
from tests.running.doubts import doubt

MIB = 1024**2
LEVEL = (200, 202, 199, 201, 200, 201, 199, 200, 202, 200)
LEAK = tuple(200 + 10 * place for place in range(10))


def long(run: Run, memory: Sequence[int] = LEVEL, length_s: float = 60.0, ends_s: float = 12.0) -> LongTrial:
    tenth_s = length_s / 10
    spans = tuple(
        UptimeSpan(
            tenth_s * place, tenth_s * (place + 1), 600, 600 / tenth_s, 10.0 + place % 2, 20.0, size * MIB
        )
        for place, size in enumerate(memory)
    )
    return LongTrial(run.trials[0], length_s, 2.0, ends_s, spans)


def said(run: Run, one: LongTrial) -> str:
    """The paragraph about the long trial."""
    blocks = uptimes(analyse(replace(run, longs=(one,)), Path("nowhere")))
    (found,) = [block for block in blocks if isinstance(block, Paragraph) and block != HOW]
    return "".join(str(span) for span in found.text)


def test_a_service_that_stays_as_it_is_has_windows_that_stand_for_it(run: Run) -> None:
    assert SAME in said(run, long(run))
    assert "memory" not in said(run, long(run))


def test_memory_that_grows_is_said_and_no_window_stands_for_it(run: Run) -> None:
    told = said(run, long(run, LEAK))
    assert "its memory grows, from 200 to 290 MiB (+41%: +41% \N{EN DASH} +41%)" in told
    assert "its throughput and p99 stand for what came later" in told


@pytest.mark.parametrize("length_s", [12.0, 12.5, 12.9])
def test_if_nothing_came_after_the_windows_nothing_is_said_of_it(run: Run, length_s: float) -> None:
    told = said(run, long(run, length_s=length_s))
    assert NOTHING_LATER in told
    assert SAME not in told


def test_a_void_long_trial_stands_for_nothing_and_says_why(run: Run) -> None:
    held = (doubt("exited with -9", "exited", cause="service"), doubt("late", "late_sends", cause="driver"))
    dead = replace(long(run), trial=replace(run.trials[0], doubts=held, valid=False))
    told = said(run, dead)
    assert "its long trial is void: exited with -9." in told
    assert SAME not in told
    change = UptimeChange("throughput", 100.0, 0.1, 30.0, 60.0)
    told = said(run, replace(dead, changes=(change,)))
    assert "throughput is 0.10 requests/s from 30 to 60 s" in told
    assert told.endswith("its long trial is void: exited with -9.")


def test_one_that_was_not_made_says_just_this(run: Run) -> None:
    assert said(run, replace(long(run), spans=())) == "torch, small: its long trial was not made."
