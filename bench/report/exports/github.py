"""The summary of a step in GitHub Actions: what a pull request gets, under a heading."""

from bench.report.exports import markdown
from bench.report.plain import one_line, without_links
from bench.report.report import Report


def render(report: Report) -> str:
    """The same Markdown with a heading and the machine; a step's summary may hold 1 MiB."""
    quick = " (quick)" if report.analysis.run.quick else ""
    where = without_links(one_line(f"Measured {report.machine}."))
    return f"## Benchmark{quick}\n\n{where}\n\n{markdown.render(report)}"
