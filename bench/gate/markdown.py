"""gate.md for a pull request: the verdict on top, a table of all rules, and the rest folded away."""

from bench.gate.sections import findings, folded
from bench.gate.texts import TITLES, overall
from bench.gate.values import Judgement
from bench.report.plain import one_line, without_links
from bench.report.writers.markdown import blocks


def render(judgement: Judgement) -> str:
    """The whole comment."""
    lines = [f"## Gate: {TITLES[judgement.verdict].lower()}", ""]
    lines += [f"**{_escaped(one_line(overall(judgement)))}**", "", _escaped(one_line(sides(judgement))), ""]
    lines += blocks(findings(judgement), _escaped)
    for section in folded(judgement):
        content = blocks(section.blocks, _escaped)
        lines += ["", f"<details><summary>{section.title}</summary>", "", *content, "", "</details>"]
    return "\n".join(lines) + "\n"


def sides(judgement: Judgement) -> str:
    """What was compared with what, and how."""
    how = (
        "measured side by side, in fresh containers every round"
        if judgement.paired
        else "a fresh run against a stored one, so rounds do not pair"
    )
    return f"{judgement.head_name} against {judgement.base_name}, {how}."


def _escaped(value: str) -> str:
    """Text from a run or a machine, which may become no tag, link, call or code.

    Brackets get a backslash and no entity, which the tool that posts the comment takes for HTML.
    """
    # a backslash of the text's own would undo ours
    flat = value.replace("\\", "\\\N{WORD JOINER}")
    return without_links(flat).replace("&#91;", "\\[").replace(">", "&gt;").replace("`", "\\`")
