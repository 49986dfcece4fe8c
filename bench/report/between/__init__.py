"""Two runs side by side: what differs between them, how sure that is, and what makes it doubtful."""

from collections.abc import Callable

from bench.analysis.run_comparison import RunComparison, compare_runs
from bench.report.between.data import as_json
from bench.report.between.prose import as_markdown, as_text

__all__ = ["RENDERERS", "RunComparison", "compare_runs"]

RENDERERS: dict[str, Callable[[RunComparison], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "json": as_json,
}
