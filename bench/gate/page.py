"""gate.html: the judgement as one page that needs no network, in the look of a run's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

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


ENVIRONMENT = "Environment"


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page; what is `folded` is shown when its title is opened."""

    anchor: str
    title: str
    html: Markup
    folded_title: str = ""
    folded: Markup | None = None


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
        sections=[_section(title, body) for title, body in sections],
    )


def _section(title: str, body: Sequence[str]) -> Section:
    """A section; of the environment all but the line on top is folded, as in a run's report."""
    if title != ENVIRONMENT or "" not in body:
        return Section(_anchor(title), title, to_html(title, body))
    end = body.index("")
    facts = [line for line in body[end:] if line.startswith("|")][2:]
    said = f"All {len(facts)} facts of the environment"
    return Section(_anchor(title), title, to_html(title, body[:end]), said, to_html(title, body[end:]))


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower()).strip("-")
