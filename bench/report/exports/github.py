"""The summary of a step in GitHub Actions: what a pull request gets, under a heading."""

from bench.analysis.run_analysis import RunAnalysis
from bench.report.exports import markdown
from bench.report.machine import machine_line
from bench.report.plain import one_line, without_links


def render(analysis: RunAnalysis) -> str:
    """The same Markdown with a heading and the machine; a step's summary may hold 1 MiB."""
    run = analysis.run
    quick = " (quick)" if run.quick else ""
    where = without_links(one_line(f"Measured {machine_line(run)}."))
    return f"## Benchmark{quick}\n\n{where}\n\n{markdown.render(analysis)}"
