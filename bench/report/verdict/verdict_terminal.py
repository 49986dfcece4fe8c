"""The judgement on a terminal: a sentence, a table and every finding that is not a pass, in plain text."""

import shutil
import textwrap

from bench.gate import Judgement, RuleFinding
from bench.report.plain import printable
from bench.report.verdict.verdict_sections import findings_table
from bench.report.verdict.verdict_sentences import finding_sentence, overall
from bench.report.writers.terminal import NAMES, Loss, fitted, lines

LEAST_WIDTH, USUAL_WIDTH, MOST_WIDTH = 60, 100, 200
HEADERS = ("verdict", "what", "head to base", "allowed change", "detectable change", "base", "head")
# what is too wide loses its last columns, and then the ends of its names
GIVING_UP: tuple[Loss, ...] = (*(("column", header) for header in HEADERS[:2:-1]), NAMES)


def render(judgement: Judgement, width: int | None = None) -> str:
    """The judgement in lines of at most `width` columns, 60 to 200; without a width it is the terminal's."""
    if width is None:
        width = shutil.get_terminal_size((USUAL_WIDTH, 24)).columns
    width = min(max(width, LEAST_WIDTH), MOST_WIDTH)
    blocks = [textwrap.wrap(overall(judgement), width)]
    if judgement.findings:
        shape = fitted(findings_table(judgement, HEADERS), width, GIVING_UP)
        blocks.append([line.plain for line in lines(shape, width)])
    details = [_wrapped(finding, width) for finding in judgement.findings if finding.verdict != "pass"]
    blocks.append([line for wrapped in details for line in wrapped])
    # a run's own words may hold what moves a terminal's cursor
    return printable("\n\n".join("\n".join(block) for block in blocks if block)) + "\n"


def _wrapped(finding: RuleFinding, width: int) -> list[str]:
    wrapped = textwrap.wrap(f"{finding.verdict}: {finding_sentence(finding)}", width, subsequent_indent="  ")
    for note in finding.notes:
        wrapped += textwrap.wrap(note, width, initial_indent="  - ", subsequent_indent="    ")
    return wrapped
