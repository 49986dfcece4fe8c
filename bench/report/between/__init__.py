"""Two runs side by side: what differs between them, how sure that is, and what makes it doubtful."""

from collections.abc import Callable

from bench.report.between.compare import compare_runs
from bench.report.between.data import as_json
from bench.report.between.prose import as_markdown, as_text
from bench.report.between.values import Between

__all__ = ["RENDERERS", "Between", "compare_runs"]

RENDERERS: dict[str, Callable[[Between], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "json": as_json,
}
