"""The files that a run's report is written to: each is a function of the report."""

from collections.abc import Callable

from bench.report import markdown, page
from bench.report.report import Report

FORMATS: dict[str, Callable[[Report], str]] = {
    "report.md": markdown.render,
    "report.html": page.render,
}
