"""Markdown of which some is folded away, and that fits into a comment."""

from collections.abc import Mapping, Sequence

from bench.report.plain import without_links

# GitHub takes 65 536 characters a comment; the rest is for a workflow's own words
MOST_CHARACTERS = 60_000
CUT = "\n\nToo long for a comment: the rest is in the run's own report.\n"


def within_comment(top: str, folds: Mapping[str, Sequence[str]], end: str = "") -> str:
    """The top, a fold for each title with its lines, and the end, in at most 60 000 characters.

    Folds that would go beyond are named in their place; a top that is too long is cut at the end of a line.
    """
    room = MOST_CHARACTERS - len(end) - len(_left_out(list(folds)))
    if len(top) > room:
        return top[: top.rfind("\n", 0, room - len(CUT))] + CUT
    left_out = []
    for title, lines in folds.items():
        block = folded(title, "\n".join(map(without_links, lines)))
        if len(top) + len(block) > room:
            left_out.append(title)
        else:
            top += block
    return top + (_left_out(left_out) if left_out else "") + end


def folded(title: str, content: str) -> str:
    """A part that opens at a click; GitHub reads Markdown in it because of the empty lines."""
    return f"\n<details><summary>{title}</summary>\n\n{content}\n\n</details>\n"


def _left_out(titles: Sequence[str]) -> str:
    return f"\nToo long for a comment, and left out: {', '.join(titles)}.\n"
