"""Progress for people: two live lines on a terminal, plain lines on stderr elsewhere, or next to nothing."""

import os
import sys
import time
from typing import Any

from bench.measure.plan import StepSubject
from bench.measure.progress import Doing, Now, Silent, SoFar
from bench.model import Trial, in_words
from bench.report import text
from bench.report.plain import printable
from bench.statistics import least_n

# drawing takes time of the driver's core
REDRAWS_PER_S = 2
LEAST_BAR, MOST_BAR = 10, 40
LEAST_WORDS = 16
GAP = "  "
# what is the same of every trial, because it is the machine's
UNTOLD = ("stolen_unknown", "other_cpu_unknown")


class PlainProgress:
    """One line on stderr for everything worth keeping in a log."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._begun, self._verbose = time.monotonic(), verbose
        self._told: set[str] = set()

    def note(self, text: str) -> None:
        """Write a line."""
        elapsed = int(time.monotonic() - self._begun)
        sys.stderr.write(f"[{elapsed // 60:3d}:{elapsed % 60:02d}] {printable(text)}\n")
        sys.stderr.flush()

    def output(self, line: str) -> None:
        """Write the line, if all of them are asked for."""
        if self._verbose:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def begin(self, total_s: float) -> None:
        """Say how long it will take."""
        self.note(f"about {minutes(total_s)} to go")

    def step(self, doing: Doing) -> None:
        """Write a line for the step."""
        self.note(f"{doing.number}/{doing.total} {doing.step.label()} ({minutes(doing.left_s)} left)")

    def live(self, now: Now) -> None:
        """Write nothing: a log needs no current rates."""

    def found(self, step: StepSubject, trial: Trial, so_far: SoFar | None) -> None:
        """Write a line for the trial and one for each reason to doubt it."""
        for line in trial_lines(step, trial, so_far, self._told):
            self.note(line)

    def close(self) -> None:
        """Do nothing: nothing is open."""


class QuietProgress(Silent):
    """Only the trials that are void, each with its reasons."""

    def found(self, step: StepSubject, trial: Trial, so_far: SoFar | None) -> None:
        """Write why a trial is void, unless a search made it: there a rate that is too high is a result."""
        if trial.valid or not step.void_is_news:
            return
        for line in (*trial_lines(step, trial, so_far),):
            sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Do nothing: nothing is open."""


class LiveProgress:
    """Two lines at the terminal's foot: how far it is, and what runs with its estimate; notes go above."""

    def __init__(self, *, verbose: bool = False) -> None:
        from rich.console import Console

        self._verbose = verbose
        self._told: set[str] = set()
        self._console = Console(stderr=True, highlight=False)
        self._begun = self._since = time.monotonic()
        self._doing: Doing | None = None
        self._now: Now | None = None
        self._foot: Any = None

    def note(self, text: str) -> None:
        """Write a line above the foot."""
        self._print(text)

    def output(self, line: str) -> None:
        """Write the line above the foot, if all of them are asked for."""
        if self._verbose:
            self._print(line)

    def begin(self, total_s: float) -> None:
        """Show the foot, in place of the one before."""
        from rich.live import Live

        self.close()
        self._print(f"about {minutes(total_s)} to go")
        self._foot = Live(
            console=self._console,
            get_renderable=self._drawn,
            transient=True,
            refresh_per_second=REDRAWS_PER_S,
            redirect_stdout=False,  # what is data goes where it was sent
        )
        self._foot.start()

    def step(self, doing: Doing) -> None:
        """Show what runs now."""
        self._since, self._doing, self._now = time.monotonic(), doing, None

    def live(self, now: Now) -> None:
        """Show the current rate."""
        self._now = now

    def found(self, step: StepSubject, trial: Trial, so_far: SoFar | None) -> None:
        """Write the trial's result, and each reason to doubt it, above the foot."""
        heading, *reasons = trial_lines(step, trial, so_far, self._told)
        self._print(heading)
        for reason in reasons:
            self._print(reason, "yellow" if trial.valid else "red")

    def close(self) -> None:
        """Take the foot away."""
        if self._foot is not None:
            self._foot.stop()

    def _print(self, line: str, style: str = "") -> None:
        from rich.text import Text

        shown = Text(printable(line), style)
        shown.highlight_words(["INVALID"], "bold red")
        self._console.print(shown)

    def _drawn(self) -> Any:
        """The foot, for as many columns as the terminal has now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        doing, width = self._doing, self._console.width
        if doing is None:
            return ""
        elapsed_s = time.monotonic() - self._begun
        left_s = doing.left_s - (time.monotonic() - self._since)
        far = _far(doing, elapsed_s, left_s, width)
        bar = min(MOST_BAR, max(LEAST_BAR, width - len(far) - len(GAP)))
        first = Table.grid(padding=(0, len(GAP), 0, 0))
        first.add_row(ProgressBar(doing.total, doing.number - 1, width=bar), Text(far, no_wrap=True))
        second = Text(running(doing, self._now, width), no_wrap=True, overflow="ellipsis")
        return Group(first, second)


TerminalProgress = PlainProgress | QuietProgress | LiveProgress


def make_progress(*, quiet: bool = False, verbose: bool = False) -> TerminalProgress:
    """Live lines on a terminal that can show them, plain lines elsewhere; rich heeds NO_COLOR."""
    if quiet:
        return QuietProgress()
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb"):
        return LiveProgress(verbose=verbose)
    return PlainProgress(verbose=verbose)


def trial_lines(
    step: StepSubject, trial: Trial, so_far: SoFar | None, told: set[str] | None = None
) -> list[str]:
    """The trial's result and the estimate until now, then a line for each reason to doubt it.

    What this machine does not tell is in no line if it is in `told`, where it then is.
    """
    rate, p99 = text.number(trial.throughput_rps), text.number(trial.latency_ms.p99)
    found = f"{rate} requests/s, p99 {p99} ms" if trial.error is None else text.MISSING
    verdict = "" if trial.valid else " INVALID"
    several = so_far is not None and so_far.estimate.n > 1
    known = f"; so far {_estimate(so_far)}" if several and so_far else ""
    reasons = [one for one in trial.reasons if told is None or one.text not in told]
    if told is not None:
        told.update(one.text for one in reasons if one.code in UNTOLD)
    return [f"{step.label()}: {found}{verdict}{known}", *(f"  {in_words(one)}" for one in reasons)]


def running(doing: Doing, now: Now | None, width: int) -> str:
    """What runs, its current rate and the estimate until now, in at most `width` columns.

    If columns are few, it leaves out words first, then the current rate, the end of the step's name, and last
    the estimate's interval.
    """
    words = _words(doing.step)
    full, short = _estimate(doing.so_far), _short(doing.so_far)
    long_now = f"{now.phase}, {text.number(now.requests_per_s)} requests/s now" if now else ""
    short_now = f"now {text.number(now.requests_per_s)}/s" if now else ""
    known = f"so far {full}" if full else ""
    so_far = f"so far {short}" if short else ""
    for current, until_now in (
        (long_now, known),
        (short_now, known),
        (short_now, so_far),
        (short_now, short),
    ):
        line = _joined((words, current, until_now))
        if len(line) <= width:
            return line
    room = width - len(GAP) - len(short or short_now)
    if room < min(LEAST_WORDS, len(words)):
        short = short.split(" (")[0]
        room = width - len(GAP) - len(short)
    return _joined((_cut(words, room), short or short_now))


def minutes(seconds: float) -> str:
    """A duration as people read it."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"


def _far(doing: Doing, elapsed_s: float, left_s: float, width: int) -> str:
    """The step's number, the round, the time left and, if there is room, the time spent."""
    of = f" of {doing.rounds}" if doing.step.round <= doing.rounds else ""
    round_ = f"round {doing.step.round}{of}"
    parts = [f"{doing.number}/{doing.total}", round_ if doing.step.round else "", f"{minutes(left_s)} left"]
    spent = f"{minutes(elapsed_s)} spent"
    room = width - LEAST_BAR - len(GAP)
    return _joined([*parts, spent]) if len(_joined([*parts, spent])) <= room else _joined(parts)


def _words(step: StepSubject) -> str:
    """Stage, strategy, payloads and load."""
    load = step.load.label if step.load else ""
    at = "" if not load or load in step.at else f"at {load}"
    return " ".join(part for part in (step.kind, step.strategy, step.payload_class, step.at, at) if part)


def _estimate(known: SoFar | None) -> str:
    """The estimate in words: `253 (241-266) requests/s, 3 rounds`; empty without an estimate."""
    if known is None:
        return ""
    rounds = text.plural(known.estimate.n, "round")
    if known.metric == "ratio":
        return f"{_short(known)} of its base, {rounds}"
    if known.metric == "throughput":
        return f"{text.estimate(known.estimate)} requests/s, {rounds}"
    later = f", interval from {least_n(0.5)}" if known.estimate.low is None else ""
    return f"{_short(known)}, {rounds}{later}"


def _short(known: SoFar | None) -> str:
    """The estimate if columns are few: `253 (241-266)/s`."""
    if known is None:
        return ""
    centre = text.estimate(known.estimate)
    return {"p99": f"p99 {centre} ms", "throughput": f"{centre}/s", "ratio": text.ratio(known.estimate)}[
        known.metric
    ]


def _joined(parts: tuple[str, ...] | list[str]) -> str:
    return GAP.join(part for part in parts if part)


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: max(0, most - 1)] + "\N{HORIZONTAL ELLIPSIS}"
