"""A run for a pull request: whom to choose, one table, what is doubtful, and all else folded away.

It has no links, pictures or HTML of the run's own, as a workflow may post what a stranger's run says.
"""

from collections import Counter
from collections.abc import Sequence

from bench.analysis.doubt_counts import of_each_code, of_the_run
from bench.analysis.run_analysis import RunAnalysis
from bench.model import TITLES, DoubtCode, gravity
from bench.report import text
from bench.report.document import (
    Block,
    Bullets,
    Section,
    Strong,
    paragraph,
)
from bench.report.doubt_words import told_once
from bench.report.key_loads import loads
from bench.report.key_table import key_table
from bench.report.plain import one_line, printable, without_links
from bench.report.report import Report
from bench.report.sections import COMMAND
from bench.report.writers import markdown

# GitHub takes 65 536 characters a comment; the rest is for a workflow's own words
MOST_CHARACTERS = 60_000
MOST_WARNINGS = 8
CUT = "\n\nToo long for a comment: the rest is in the run's own report.\n"


def render(report: Report) -> str:
    """The Markdown, at most 60 000 characters: sections that would go beyond are named and left out."""
    top = [
        paragraph(Strong(report.choice)),
        *key_table(report.analysis),
        *([paragraph(told)] if (told := _counted(report)) else []),
        _warnings(report.analysis),
    ]
    # in a fence nothing is a link, and without backticks nothing leaves it
    command = printable(report.analysis.run.command).replace("`", "'")
    return within_comment(
        "\n".join(markdown.blocks(top, without_links)) + "\n",
        [section for section in report.sections if section.title != COMMAND],
        _folded(COMMAND, f"```sh\n{command}\n```"),
    )


def _counted(report: Report) -> str:
    """Which answers and trials count, and the load that the table is of."""
    load = loads(report.analysis.summary)
    return " ".join(part for part in (report.checked, f"Measured at {load}." if load else "") if part)


def step_summary(report: Report) -> str:
    """The same for the summary of a step in GitHub Actions, with a heading and the machine."""
    quick = " (quick)" if report.analysis.run.quick else ""
    where = without_links(one_line(f"Measured {report.machine}."))
    return f"## Benchmark{quick}\n\n{where}\n\n{render(report)}"


def within_comment(top: str, sections: Sequence[Section], end: str = "") -> str:
    """The top, the sections folded away, and the end, in at most 60 000 characters.

    Sections that would go beyond are named in their place; a top that is too long is cut at the end of a
    line.
    """
    room = MOST_CHARACTERS - len(end) - len(_left_out([section.title for section in sections]))
    if len(top) > room:
        return top[: top.rfind("\n", 0, room - len(CUT))] + CUT
    left_out = []
    for section in sections:
        block = _folded(section.title, "\n".join(markdown.blocks(section.blocks, without_links)))
        if len(top) + len(block) > room:
            left_out.append(section.title)
        else:
            top += block
    return top + (_left_out(left_out) if left_out else "") + end


def _folded(title: str, content: str) -> str:
    """A part that opens at a click; GitHub reads Markdown in it because of the empty lines."""
    return f"\n<details><summary>{title}</summary>\n\n{content}\n\n</details>\n"


def _left_out(titles: Sequence[str]) -> str:
    return f"\nToo long for a comment, and left out: {', '.join(titles)}.\n"


def _gravest_first(counted: tuple[DoubtCode, int]) -> tuple[int, int, str]:
    """The order of reasons: by their gravity, then by how many trials have them, then by their words."""
    code, n = counted
    return gravity(code), -n, TITLES[code]


def _warnings(analysis: RunAnalysis) -> Block:
    """The run's own warnings and what voids trials, by reason; the whole list is among what is folded."""
    run, summary = analysis.run, analysis.summary
    lines = [told_once(one) for one in of_the_run(run)]
    if summary.missing_trials:
        lines.append(f"{text.plural(summary.missing_trials, 'planned trial')} not made")
    for state, leaves_out in (("INVALID and left out", True), ("warned of", False)):
        counted = Counter(
            one.code for trial in run.trials for one, voids in of_each_code(trial) if voids == leaves_out
        )
        lines += [
            f"{text.plural(n, 'trial')} {state}: {TITLES[code]}"
            for code, n in sorted(counted.items(), key=_gravest_first)
        ]
    more = len(lines) - MOST_WARNINGS
    shown = [*lines[:MOST_WARNINGS], *([f"and {more} more, below"] if more > 0 else [])]
    return Bullets(tuple((line,) for line in shown)) if shown else paragraph("No warnings.")
