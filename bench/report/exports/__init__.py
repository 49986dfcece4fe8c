"""A run in the formats that other programs read: one function of its analysis each, returning the text."""

from collections.abc import Callable

from bench.analysis.run_analysis import RunAnalysis
from bench.report.exports import action, csv_summary, csv_trials, github, junit, markdown

__all__ = ["EXPORTS"]

EXPORTS: dict[str, Callable[[RunAnalysis], str]] = {
    "markdown": markdown.render,
    "github": github.render,
    "junit": junit.render,
    "smaller": action.smaller,
    "bigger": action.bigger,
    "csv": csv_trials.render,
    "csv-summary": csv_summary.render,
}
