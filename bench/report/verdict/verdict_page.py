"""gate.html: the judgement as one page that needs no network, in the look of a run's."""

from dataclasses import dataclass

from markupsafe import Markup

from bench.gate import Judgement, Verdict
from bench.report.document import Section, Table
from bench.report.page import anchor, fill
from bench.report.sentence import machine_line
from bench.report.verdict.verdict_sections import ENVIRONMENT, findings, folded
from bench.report.verdict.verdict_sentences import TITLES, overall, sides
from bench.report.writers import html

# how a verdict looks, beside its word
STATES: dict[Verdict, str] = {
    "pass": "valid",
    "inconclusive": "doubtful",
    "invalid": "invalid",
    "regression": "invalid",
}


@dataclass(frozen=True, slots=True)
class VerdictPart:
    """A section of the page; what is `folded` is shown when its title is opened."""

    anchor: str
    title: str
    html: Markup
    folded_title: str = ""
    folded: Markup | None = None


def render(judgement: Judgement) -> str:
    """The page: the verdict on top, every rule, and what is folded away in the pull request's comment."""
    sections = [Section("Rules", tuple(findings(judgement))), *folded(judgement)]
    return fill(
        "gate.html",
        title=f"{judgement.head_name} against {judgement.base_name}",
        state=(STATES[judgement.verdict], TITLES[judgement.verdict]),
        sentence=overall(judgement),
        sides=sides(judgement),
        machine=machine_line(judgement.head),
        sections=[_part(section) for section in sections],
    )


def _part(section: Section) -> VerdictPart:
    """A section; the facts of the environment are folded, as in a run's report."""
    title, blocks = section.title, section.blocks
    facts = [block for block in blocks if isinstance(block, Table)] if title == ENVIRONMENT else []
    if not facts:
        return VerdictPart(anchor(title), title, html.blocks(blocks, title))
    shown = [block for block in blocks if not isinstance(block, Table)]
    said = f"All {sum(len(table.rows) for table in facts)} facts of the environment"
    return VerdictPart(anchor(title), title, html.blocks(shown, title), said, html.blocks(facts, title))
