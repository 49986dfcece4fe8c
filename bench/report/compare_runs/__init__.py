"""Two runs side by side: what differs between them, how sure that is, and what makes it doubtful.

What a format needs is imported when it is asked for: `bench --help` must not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.analysis.run_comparison import RunComparison

    Format = Callable[[RunComparison], str]


def _text(comparison: RunComparison) -> str:
    from bench.report.compare_runs import comparison_formats

    return comparison_formats.as_text(comparison)


def _markdown(comparison: RunComparison) -> str:
    from bench.report.compare_runs import comparison_formats

    return comparison_formats.as_markdown(comparison)


def _json(comparison: RunComparison) -> str:
    from bench.report.compare_runs import comparison_formats

    return comparison_formats.as_json(comparison)


RENDERERS: dict[str, Format] = {"text": _text, "markdown": _markdown, "json": _json}
"""What `bench compare --format` prints."""
