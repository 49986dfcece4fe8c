"""gate.md for a pull request: the verdict on top, a table of all rules, and the rest folded away."""

from collections.abc import Sequence

from bench.gate import cells
from bench.gate.texts import TITLES, overall
from bench.gate.values import EXIT_CODES, Finding, Judgement
from bench.report import text
from bench.report.plain import one_line, without_links
from bench.report.text import table

HEADER = ("verdict", "what", "base", "head", "head to base", "let pass", "told apart from")

MEANING = (
    "- **Regression**: the 95% interval of the ratio lies wholly beyond what is let pass, also after Holm's "
    "correction for the number of rules, and a second batch of fresh containers says the same. Or a limit, "
    "which chance does not move, is broken.",
    "- **Pass**: the interval lies wholly on the good side of what is let pass. It says that a change for "
    "the worse beyond that is excluded, not that nothing changed.",
    "- **Inconclusive**: the interval holds what is let pass, or a second batch did not confirm the first: "
    "it could be either. That is no word on the change: measure more rounds, or on a quieter machine. *Told "
    "apart from* is the least difference from 1 that so many rounds show in 80 of 100 cases.",
    "- **Invalid**: a figure is missing or may not be believed. What is not measured never passes.",
)


def render(judgement: Judgement) -> str:
    """The whole comment."""
    lines = [f"## Gate: {TITLES[judgement.verdict].lower()}", "", f"**{escaped(overall(judgement))}**", ""]
    lines += [escaped(sides(judgement)), ""]
    lines += findings(judgement)
    for title, body in folded(judgement):
        lines += ["", f"<details><summary>{title}</summary>", "", *body, "", "</details>"]
    return "\n".join(lines) + "\n"


def sides(judgement: Judgement) -> str:
    """What was compared with what, and how."""
    how = (
        "measured side by side, in fresh containers every round"
        if judgement.paired
        else "a fresh run against a stored one, so rounds do not pair"
    )
    return f"{judgement.head_name} against {judgement.base_name}, {how}."


def findings(judgement: Judgement) -> list[str]:
    """A table of all rules, and a line for each that is no pass."""
    lines = table(HEADER, [_cells(finding) for finding in judgement.findings], 2)
    told = [finding for finding in judgement.findings if finding.verdict != "pass"]
    return [*lines, "", *(_line(finding) for finding in told)] if told else lines


def escaped(value: str) -> str:
    """Text from a run or a machine, which may become no cell's border, tag, link, call or new line.

    Brackets get a backslash and no entity, which the tool that posts the comment takes for HTML.
    """
    # a backslash of the text's own would undo ours
    flat = one_line(value).replace("\\", "\\\N{WORD JOINER}")
    found = without_links(flat).replace("&#91;", "\\[")
    return found.replace(">", "&gt;").replace("|", "\\|").replace("`", "\\`")


def _cells(finding: Finding) -> list[str]:
    verdict = TITLES[finding.verdict].lower()
    return [
        verdict if finding.verdict == "pass" else f"**{verdict}**",
        escaped(cells.label(finding)),
        cells.figure(finding, finding.base),
        cells.figure(finding, finding.head),
        cells.ratio(finding),
        escaped(finding.bound),
        cells.detectable(finding),
    ]


def _line(finding: Finding) -> str:
    return f"- **{TITLES[finding.verdict]}**: {escaped(finding.sentence)}."


def folded(judgement: Judgement) -> list[tuple[str, Sequence[str]]]:
    """What is not for the first look; parts without content are left out."""
    passed = [_line(finding) for finding in judgement.findings if finding.verdict == "pass"]
    notes = dict.fromkeys(
        f"- {escaped(f'{finding.strategy}: {note}')}"
        for finding in judgement.findings
        for note in finding.notes
    )
    differences = [
        [escaped(cell) for cell in (one.name, one.base, one.head)] for one in judgement.differences
    ]
    environment = [[escaped(cell) for cell in row] for row in text.flat(judgement.environment)]
    codes = ", ".join(f"{code} {verdict}" for verdict, code in EXIT_CODES.items())
    found: list[tuple[str, Sequence[str]]] = [
        ("What passed, in words", passed),
        ("What was left out, and what is doubtful", list(notes)),
        (
            "Where base and head were measured under other conditions",
            _rows(("what", "base", "head"), differences),
        ),
        ("Environment", [f"Measured {escaped(judgement.made)}.", "", *_rows(("what", "value"), environment)]),
        (
            "How to reproduce",
            ["```sh", _command(judgement), "```", "", f"Exit codes: {codes}."],
        ),
        ("What the verdicts mean", MEANING),
    ]
    return [(title, body) for title, body in found if body]


def _command(judgement: Judgement) -> str:
    """The command in one line; without backticks nothing leaves its fence."""
    return one_line(judgement.command).replace("`", "'")


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return table(header, rows, len(header)) if rows else []
