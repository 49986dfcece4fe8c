"""Progress for people: a live line on a terminal, plain lines on stderr elsewhere."""

import os
import sys
import time
from typing import Any


class PlainProgress:
    """One line on stderr for everything worth keeping in a log."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def note(self, text: str) -> None:
        """Write a line."""
        elapsed = int(time.monotonic() - self._begun)
        sys.stderr.write(f"[{elapsed // 60:3d}:{elapsed % 60:02d}] {text}\n")
        sys.stderr.flush()

    def begin(self, total_s: float) -> None:
        """Say how long it will take."""
        self.note(f"about {minutes(total_s)} to go")

    def step(self, text: str, done: int, total: int, left_s: float) -> None:
        """Write a line for the step."""
        self.note(f"{done + 1}/{total} {text} ({minutes(left_s)} left)")

    def live(self, text: str) -> None:
        """A log needs no running estimates."""

    def close(self) -> None:
        """Nothing is open."""


class LiveProgress:
    """A bar that stays at the terminal's foot, with what runs, the time left and the current estimate."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]} left  {task.fields[live]}"),
            console=self._console,
            transient=True,
            refresh_per_second=2,  # drawing takes time of the driver's core
        )
        self._task: Any = None

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        self._console.print(text, markup=False)

    def begin(self, total_s: float) -> None:
        """Show the bar."""
        self._bar.start()
        self._task = self._bar.add_task("", total=None, left=minutes(total_s), live="")

    def step(self, text: str, done: int, total: int, left_s: float) -> None:
        """Move the bar on."""
        self._bar.update(
            self._task, description=text, completed=done, total=total, left=minutes(left_s), live=""
        )

    def live(self, text: str) -> None:
        """Show the estimate beside the bar."""
        if self._task is not None:
            self._bar.update(self._task, live=text)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


TerminalProgress = PlainProgress | LiveProgress


def make_progress() -> TerminalProgress:
    """A live bar on a terminal that can show one, plain lines elsewhere; NO_COLOR is rich's to honour."""
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return LiveProgress()
    return PlainProgress()


def minutes(seconds: float) -> str:
    """A duration as people read it."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"
