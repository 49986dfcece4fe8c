"""gate.html: the judgement as one page that needs no network, in the look of a run's."""

import re

from bench.gate import markdown
from bench.gate.texts import TITLES, overall
from bench.gate.values import Judgement, Verdict
from bench.report.page.paper import fill
from bench.report.page.prose import to_html

# how a verdict looks, beside its word
STATES: dict[Verdict, str] = {
    "pass": "valid",
    "inconclusive": "doubtful",
    "invalid": "invalid",
    "regression": "invalid",
}


def render(judgement: Judgement) -> str:
    """The page: the verdict on top, every rule, and what is folded away in the pull request's comment."""
    sections = [("Rules", markdown.findings(judgement)), *markdown.folded(judgement)]
    return fill(
        "gate.html",
        title=f"{judgement.head_name} against {judgement.base_name}",
        state=(STATES[judgement.verdict], TITLES[judgement.verdict]),
        sentence=overall(judgement),
        sides=markdown.sides(judgement),
        machine=judgement.made,
        sections=[(_anchor(title), title, to_html(title, body)) for title, body in sections],
    )


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower()).strip("-")
