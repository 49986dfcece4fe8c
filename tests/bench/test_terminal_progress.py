"""What a run tells while it goes on: to a terminal of any width, to a log, and to whoever wants quiet."""

import dataclasses
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench import statistics
from bench.measure.plan import StepSubject
from bench.measure.progress import Doing, Now, SoFar, before, so_far
from bench.measure.steps.slo_search import SearchStep
from bench.model import ClosedLoad, LatencyMs, OpenLoad, Trial
from bench.statistics import Estimate
from bench.verbs.terminal_progress import PlainProgress, QuietProgress, make_progress, running
from tests.running.doubts import doubt

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLOSED, OPEN = ClosedLoad(50, 1.0, 2.0), OpenLoad(90.0, 1.0, 2.0)
SMALL = ("small", "json")
STEP = StepSubject("trial", "onnx", *SMALL, 3, CLOSED, "at 50 clients")
KNOWN = SoFar("throughput", Estimate(253.4, 241.2, 266.1, 3))
RATES = {1: 250.0, 2: 262.0, 3: 247.0}

LATE = doubt("the driver was late", "late_sends")


def trial(round_: int, rate: float | None = 250.0, **changes: object) -> Trial:
    made = Trial(
        strategy="onnx",
        round=round_,
        payload_class="small",
        encoding="json",
        load=CLOSED,
        window_s=2.0,
        warmup_s=1.0,
        requests=500,
        ok=500,
        errors=0,
        wrong_answers=0,
        throughput_rps=rate,
        latency_ms=LatencyMs(200.0, 220.0, 230.0 + round_),
        cpu_ms_per_request=3.9,
        peak_memory_bytes=None,
        driver_cpu_ms_per_request=None,
        doubts=(),
        valid=True,
        samples=None,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # the caller names the fields


# what the rounds so far say


def test_the_estimate_so_far_is_that_of_the_report() -> None:
    trials = [trial(number, rate) for number, rate in RATES.items()]
    found = before(STEP, trials)
    assert found == SoFar("throughput", statistics.geometric_mean(list(RATES.values())) or KNOWN.estimate)
    assert found is not None
    assert found.estimate.low is not None
    assert found.estimate.low < 253 < (found.estimate.high or 0)


def test_one_round_has_no_interval_and_none_has_no_estimate() -> None:
    found = before(STEP, [trial(1)])
    assert found is not None
    assert (found.estimate.low, found.estimate.n) == (None, 1)
    assert before(STEP, []) is None
    assert before(StepSubject("parity", "onnx"), [trial(1)]) is None


def test_what_is_void_or_of_another_case_does_not_count() -> None:
    others = [
        trial(2, 900.0, valid=False),
        trial(2, 900.0, strategy="torch"),
        trial(2, 900.0, payload_class="seed"),
        trial(2, 900.0, encoding="raw"),
        trial(2, 900.0, load=ClosedLoad(9, 1.0, 2.0)),
        trial(2, None),
    ]
    assert before(STEP, [trial(1), *others]) == before(STEP, [trial(1)])


def test_under_an_open_load_the_tail_is_told_and_not_the_rate_that_was_asked_for() -> None:
    trials = [trial(number, load=OPEN) for number in range(1, 7)]
    found = so_far(trials, "onnx", SMALL, OPEN.name)
    assert found == SoFar("p99", Estimate(233.5, 231.0, 236.0, 6))


def test_beside_its_base_a_strategy_is_told_as_a_ratio_paired_by_round() -> None:
    base = [trial(number, rate, strategy="onnx@base") for number, rate in RATES.items()]
    head = [trial(number, 0.9 * rate) for number, rate in RATES.items()]
    found = so_far([*base, *head], "onnx", SMALL, CLOSED.name, "onnx@base")
    assert found is not None
    assert found.metric == "ratio"
    assert found.estimate.centre == pytest.approx(0.9)
    assert "0.90\N{MULTIPLICATION SIGN} (0.90" in running(Doing(STEP, 6, 1, 9, 60.0, found), None, 100)


# one line for what runs


def test_what_runs_fits_and_keeps_its_interval() -> None:
    ratio = SoFar("ratio", Estimate(0.985, 0.95, 1.021, 4))
    tail = SoFar("p99", Estimate(1553.0, 1308.0, 2233.0, 6))
    named = dataclasses.replace(STEP, strategy="a-strategy-with-a-long-name", at="at 70% of capacity, evenly")
    doings = [Doing(step, 6, 12, 40, 700.0, k) for step in (STEP, named) for k in (KNOWN, ratio, tail, None)]
    for width in range(40, 201):
        for doing in doings:
            for now in (None, Now("under load", 251.4)):
                line = running(doing, now, width)
                assert len(line) <= width
                assert line.startswith("trial ")
                assert width < 60 or doing.so_far is None or re.search(r"\(\d.*\d\)", line)


def test_a_wide_line_says_all_and_a_narrow_one_what_matters() -> None:
    doing, now = Doing(STEP, 6, 12, 40, 700.0, KNOWN), Now("under load", 251.4)
    wide, narrow = (running(doing, now, width).replace("\N{EN DASH}", "-") for width in (120, 60))
    assert wide == (
        "trial onnx small at 50 clients  under load, 251 requests/s now  "
        "so far 253 (241-266) requests/s, 3 rounds"
    )
    assert narrow == "trial onnx small at 50 clients  now 251/s  253 (241-266)/s"


def test_a_tail_without_an_interval_says_when_there_will_be_one() -> None:
    tail = SoFar("p99", Estimate(120.0, None, None, 4))
    assert running(Doing(STEP, 6, 1, 9, 60.0, tail), None, 100).endswith("4 rounds, interval from 6")


# a log, and quiet


def test_a_log_has_a_line_an_event_with_the_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    progress = make_progress()
    assert isinstance(progress, PlainProgress), "stderr is no terminal here"
    progress.begin(700.0)
    progress.step(Doing(STEP, 6, 12, 40, 650.0, KNOWN))
    progress.live(Now("under load", 251.4))
    progress.found(STEP, trial(3, 247.0), KNOWN)
    progress.found(STEP, trial(3, 247.0, valid=False, doubts=(LATE,)), None)
    progress.close()
    said = capsys.readouterr()
    assert said.out == ""
    lines = [line.split("] ", 1)[1] for line in said.err.replace("\N{EN DASH}", "-").splitlines()]
    label = "round 3: trial onnx small at 50 clients"
    assert lines == [
        "about 11 min 40 s to go",
        f"12/40 {label} (10 min 50 s left)",
        f"{label}: 247 requests/s, p99 233 ms; so far 253 (241-266) requests/s, 3 rounds",
        f"{label}: 247 requests/s, p99 233 ms INVALID",
        "  the driver was late",
    ]


def test_quiet_says_only_what_voids_results(capsys: pytest.CaptureFixture[str]) -> None:
    progress = make_progress(quiet=True)
    assert isinstance(progress, QuietProgress)
    progress.note("runtime: process")
    progress.begin(700.0)
    progress.step(Doing(STEP, 6, 12, 40, 650.0, KNOWN))
    progress.live(Now("under load", 251.4))
    progress.found(STEP, trial(3, doubts=(doubt("the host stole 1.3% of the time", voids=False),)), KNOWN)
    search = SearchStep(strategy="onnx", payload_class="small", encoding="json")
    progress.found(search, trial(3, valid=False), None)
    progress.close()
    assert capsys.readouterr().err == ""
    progress.found(STEP, trial(3, None, valid=False, error=doubt("it did not start", "start_failed")), None)
    label = "round 3: trial onnx small at 50 clients"
    assert capsys.readouterr().err == f"{label}: n/a INVALID\n  it did not start\n"


# a real terminal

CHILD = """
import os, sys, termios, time
from bench.measure.progress import Doing, Now
from bench.verbs.terminal_progress import make_progress
from tests.bench.test_terminal_progress import KNOWN, STEP, trial
from tests.running.doubts import doubt

def shown(columns, later, **changes):
    os.environ.update({"TERM": "xterm-256color", "NO_COLOR": "", **changes})
    termios.tcsetwinsize(2, (30, columns))
    begun, progress = time.monotonic(), make_progress()
    progress.begin(700.0)
    for number in (1, 2):
        progress.step(Doing(STEP, 6, number, 40, 650.0, KNOWN))
        for tenth in range(8):
            progress.live(Now("under load", 1000.0 + tenth))
            time.sleep(0.1)
        late = doubt("the driver was late", "late_sends", remedy="add --workers")
        progress.found(STEP, trial(3, valid=number == 1, doubts=(late,)), KNOWN)
        termios.tcsetwinsize(2, (30, later))
    print("data", time.monotonic() - begun, flush=True)
    progress.close()
    progress.begin(5.0)
    progress.close()
    sys.stderr.write("~")
    sys.stderr.flush()

shown(200, 200)
shown(60, 60, NO_COLOR="1")
shown(120, 60)
shown(80, 80, TERM="dumb")
"""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?3[0-8][0-9;]*m")
LABEL = "trial onnx small at 50 clients"


@dataclasses.dataclass(frozen=True)
class Screens:
    """What a program wrote to a terminal of 200, of 60, of first 120 and then 60 columns, and to a dumb one.

    `took_s` is how long each was written to.
    """

    wide: str
    narrow: str
    resized: str
    dumb: str
    took_s: tuple[float, ...]


@pytest.fixture(scope="module")
def screens() -> Screens:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, env=environment, cwd=ROOT, text=True
    ) as child:
        os.close(theirs)
        said = b"".join(iter(lambda: _read(ours), b"")).decode()
        assert child.stdout is not None
        data = child.stdout.read().split()
    os.close(ours)
    assert child.returncode == 0, said
    assert data[::2] == ["data"] * 4, "what is data goes to stdout alone"
    wide, narrow, resized, dumb, _ = said.replace("\N{EN DASH}", "-").split("~")
    return Screens(wide, narrow, resized, dumb, tuple(map(float, data[1::2])))


def _read(end: int) -> bytes:
    """What was written, and nothing once the other end is closed, which Linux tells by an error."""
    try:
        return os.read(end, 65536)
    except OSError:
        return b""


def lines(screen: str) -> list[str]:
    """Everything that was ever a line, without controls; what was drawn anew as often as it was."""
    return [line for line in re.split(r"[\r\n]+", CONTROL.sub("", screen)) if line.strip()]


def drawn(screen: str) -> list[str]:
    """The line for what runs, as often as it was drawn."""
    return [line for line in lines(screen) if line.startswith(LABEL)]


def test_a_terminal_shows_what_runs_in_two_lines_that_fit(screens: Screens) -> None:
    for screen, width in ((screens.wide, 200), (screens.narrow, 60)):
        assert max(map(len, lines(screen))) <= width
        assert any("2/40  round 3 of 6  10 min" in line for line in lines(screen))
        assert all("253 (241-266)" in line for line in drawn(screen))
        assert any(" 1\N{NO-BREAK SPACE}00" in line for line in drawn(screen)), "the current rate"
        assert f"round 3: {LABEL}: 250" in screen
        assert "\x1b[?25h" in screen, "the cursor is there again"
        assert "data" not in screen
    assert "3 rounds" in drawn(screens.wide)[0]


def test_a_terminal_is_redrawn_no_more_than_it_must_be(screens: Screens) -> None:
    """Twice a second, when it begins and ends, and with each of four lines that go above."""
    for screen, took_s in ((screens.wide, screens.took_s[0]), (screens.narrow, screens.took_s[1])):
        assert 2 <= len(drawn(screen)) <= 2 * took_s + 7


def test_a_terminal_that_wants_no_colours_gets_none(screens: Screens) -> None:
    assert COLOUR.search(screens.wide)
    assert not COLOUR.search(screens.narrow)
    assert "INVALID" in screens.wide
    assert "INVALID" in " ".join(lines(screens.narrow))


def test_a_terminal_that_gets_narrower_is_drawn_anew_in_its_width(screens: Screens) -> None:
    assert max(map(len, drawn(screens.resized))) > 60
    assert len(drawn(screens.resized)[-1]) <= 60


def test_what_begins_again_takes_away_nothing_that_was_said(screens: Screens) -> None:
    """A gate measures twice: its second foot must not be drawn over what stands where the first one was."""
    for screen in (screens.wide, screens.narrow):
        _, after = screen.split("about 5 s to go\r\n")
        assert LABEL in after
        assert "\x1b[1A" not in after.split("\n")[0]


def test_a_dumb_terminal_gets_plain_lines(screens: Screens) -> None:
    assert "\x1b" not in screens.dumb
    assert "[  0:00] about 11 min 40 s to go" in screens.dumb


def test_what_the_machine_does_not_tell_is_said_of_the_first_trial_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    untold = doubt("who else used the cores is not told here", "other_cpu_unknown")
    progress = PlainProgress()
    for number in (1, 2, 3):
        progress.found(STEP, trial(number, doubts=(untold, LATE)), None)
    said = capsys.readouterr().err
    assert (said.count("is not told here"), said.count("the driver was late")) == (1, 3)
