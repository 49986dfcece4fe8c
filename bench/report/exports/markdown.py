"""A run for a pull request: the sentence, one table, what is doubtful, and all else folded away.

It has no links, pictures or HTML of the run's own, as a workflow may post what a stranger's run says.
"""

from collections import Counter
from collections.abc import Mapping

from bench.analysis.doubt_counts import kind, reasons
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, startup_s
from bench.report import text
from bench.report.exports.folds import folded, within_comment
from bench.report.plain import printable, without_links
from bench.report.report import Report
from bench.report.sections import COMMAND
from bench.report.text import table
from bench.report.writers.markdown import blocks
from bench.statistics import Estimate

MOST_WARNINGS = 8


def render(report: Report) -> str:
    """The Markdown, at most 60 000 characters: sections that would go beyond are named and left out."""
    analysis = report.analysis
    top = [f"**{report.sentence}**", "", *_table(analysis), *_warnings(analysis)]
    # in a fence nothing is a link, and without backticks nothing leaves it
    command = printable(analysis.run.command).replace("`", "'")
    return within_comment(
        "\n".join(map(without_links, top)) + "\n",
        {one.title: blocks(one.blocks) for one in report.sections if one.title != COMMAND},
        folded(COMMAND, f"```sh\n{command}\n```"),
    )


def _table(analysis: RunAnalysis) -> list[str]:
    """A row a strategy and case at the load that stands for the run, as wide as a comment is."""
    summary = analysis.summary
    rows = [
        summary.rows[name, case]
        for case in summary.focus
        for name in summary.strategies
        if (name, case) in summary.rows
    ]
    if not rows:
        return []
    several = len(summary.focus) > 1
    cells = [_cells(analysis, row, several=several) for row in rows]
    return [*table(list(cells[0]), [list(one.values()) for one in cells], 1 + several), ""]


def _cells(analysis: RunAnalysis, row: Row, *, several: bool) -> Mapping[str, str]:
    summary, result = analysis.summary, analysis.run.strategies.get(row.strategy)
    image = result.image if result else None
    estimates = row.estimates
    return {
        "strategy": row.strategy,
        **({"case": summary.case_label(row.case)} if several else {}),
        "requests/s": text.estimate(estimates["throughput"]),
        f"ratio to {summary.baseline or text.MISSING}": _ratio(analysis, row),
        "p50 ms": _centre(estimates["p50"]),
        "p99 ms": _centre(estimates["p99"]),
        "CPU-ms a request": _centre(estimates["cpu"]),
        "peak MiB": _centre(estimates["memory"], 1 / text.MIB),
        "first answer, s": _centre(startup_s(result) if result else None),
        "image to pull": text.mebibytes(image.compressed_bytes if image else None),
        "wrong": text.spaced(row.wrong_answers),
        "valid trials": f"{row.valid_trials} of {row.valid_trials + row.invalid_trials}",
    }


def _centre(found: Estimate | None, scale: float = 1.0) -> str:
    """Without its interval, which is among what is folded."""
    return text.number(found.centre * scale if found else None)


def _ratio(analysis: RunAnalysis, row: Row) -> str:
    if not row.case.same_for_all:
        return "own rate"
    return "baseline" if row.strategy == analysis.summary.baseline else text.ratio(row.to_baseline)


def _warnings(analysis: RunAnalysis) -> list[str]:
    """The run's own warnings and what voids trials, by reason; the whole list is among what is folded."""
    run, summary = analysis.run, analysis.summary
    lines = list(run.warnings)
    if summary.missing_trials:
        lines.append(f"{text.plural(summary.missing_trials, 'planned trial')} not made")
    for state, valid in (("INVALID and left out", False), ("warned of", True)):
        counted = Counter(
            reason
            for trial in run.trials
            if trial.valid == valid
            for reason in {kind(reason) for reason in reasons(trial)}
        )
        lines += [f"{text.plural(n, 'trial')} {state}: {reason}" for reason, n in counted.most_common()]
    more = len(lines) - MOST_WARNINGS
    shown = [f"- {line}" for line in lines[:MOST_WARNINGS]]
    return [*shown, *([f"- and {more} more, below"] if more > 0 else [])] or ["No warnings."]
