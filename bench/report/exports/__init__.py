"""A run in the formats that other programs read: one function of its material each, returning the text."""

from collections.abc import Callable

from bench.report.exports import action, csv_summary, csv_trials, github, junit, markdown
from bench.report.material import Material

__all__ = ["EXPORTS"]

EXPORTS: dict[str, Callable[[Material], str]] = {
    "markdown": markdown.render,
    "github": github.render,
    "junit": junit.render,
    "smaller": action.smaller,
    "bigger": action.bigger,
    "csv": csv_trials.render,
    "csv-summary": csv_summary.render,
}
