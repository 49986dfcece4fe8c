"""Files of /proc and /sys, which some systems and containers do not have: every one may be missing."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's files below a root; tests put another root in its place."""

    root: Path = Path("/")

    def text(self, path: str) -> str | None:
        """The file's text without white space around it, None if it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """The whole number that the file holds, None if it holds anything else."""
        text = self.text(path)
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def numbers(self, pattern: str) -> list[int]:
        """The whole numbers in all files that a pattern finds, of those that can be read."""
        found = (self.number(str(path.relative_to(self.root))) for path in sorted(self.root.glob(pattern)))
        return [number for number in found if number is not None]
