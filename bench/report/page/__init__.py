"""report.html: a run's report as one self-contained page, and what it shares with the index over runs."""

from bench.report.page.run_page import render

__all__ = ["render"]
