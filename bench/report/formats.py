"""The text formats of a run's report: each is a function of the report, and a line in a dict.

What a format needs is imported when it is asked for: `bench --help` must not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.report.report import Report

    Format = Callable[[Report], str]


def _report_md(report: Report) -> str:
    from bench.report import report_md

    return report_md.render(report)


def _report_html(report: Report) -> str:
    from bench.report.page import run_page

    return run_page.render(report)


def _markdown(report: Report) -> str:
    from bench.report.exports import comment

    return comment.render(report)


def _github(report: Report) -> str:
    from bench.report.exports import comment

    return comment.step_summary(report)


def _junit(report: Report) -> str:
    from bench.report.exports import junit

    return junit.render(report)


def _smaller(report: Report) -> str:
    from bench.report.exports import action

    return action.smaller(report)


def _bigger(report: Report) -> str:
    from bench.report.exports import action

    return action.bigger(report)


def _csv(report: Report) -> str:
    from bench.report.exports import csv_files

    return csv_files.trials(report)


def _csv_summary(report: Report) -> str:
    from bench.report.exports import csv_files

    return csv_files.summary(report)


WRITTEN: dict[str, Format] = {
    "report.md": _report_md,
    "report.html": _report_html,
}
"""The files that lie in the run's folder, by their names."""

PRINTED: dict[str, Format] = {
    "markdown": _markdown,
    "github": _github,
    "junit": _junit,
    "csv": _csv,
    "csv-summary": _csv_summary,
    "smaller": _smaller,
    "bigger": _bigger,
}
"""What `bench report --format` prints."""
