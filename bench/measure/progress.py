"""How the harness tells what it is doing; where it goes is the command line's to decide."""

from typing import Protocol


class Progress(Protocol):
    """Told what happens while a run goes on."""

    def note(self, text: str) -> None:
        """Say something once."""

    def begin(self, total_s: float) -> None:
        """Say how long everything is expected to take."""

    def step(self, text: str, done: int, total: int, left_s: float) -> None:
        """Say what runs now, which of how many it is, and the time left in seconds."""

    def live(self, text: str) -> None:
        """Show the current estimate, until the next call."""
