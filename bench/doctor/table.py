"""The findings as a plain table of 100 columns, worst first, and a sentence on what they mean."""

import textwrap
from collections.abc import Sequence

from bench.doctor.finding import GRADES, Finding

WIDTH = 100
GAP = "  "


def render(findings: Sequence[Finding]) -> str:
    """A line for each finding, or more if it is long, with its remedy below; the verdict comes last."""
    ordered = worst_first(findings)
    grades = max(len(grade) for grade in GRADES)
    names = max((len(finding.name) for finding in ordered), default=0)
    lines = []
    for finding in ordered:
        head = f"{finding.grade:<{grades}}{GAP}{finding.name:<{names}}{GAP}"
        lines += textwrap.wrap(finding.what, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
        if finding.remedy:
            indent = " " * len(head)
            lines += textwrap.wrap(
                f"remedy: {finding.remedy}", WIDTH, initial_indent=indent, subsequent_indent=indent + GAP
            )
    return "\n".join([*lines, "", *textwrap.wrap(verdict(ordered), WIDTH)]) + "\n"


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """By grade, and by the order of the checks within one."""
    return tuple(sorted(findings, key=lambda finding: GRADES.index(finding.grade)))


def verdict(findings: Sequence[Finding]) -> str:
    """One sentence: fit to measure or not, and what to do first."""
    bad = [finding for finding in findings if finding.grade == "bad"]
    doubtful = [finding for finding in findings if finding.grade == "doubtful"]
    unknown = sum(finding.grade == "unknown" for finding in findings)
    unread = f" ({unknown} could not be checked)" if unknown else ""
    if bad:
        many = "one finding spoils" if len(bad) == 1 else f"{len(bad)} findings spoil"
        return f"Not fit to measure: {many} it{unread}. First, {bad[0].name}: {bad[0].remedy}."
    if doubtful:
        many = "one finding is" if len(doubtful) == 1 else f"{len(doubtful)} findings are"
        first = f"First, {doubtful[0].name}: {doubtful[0].remedy}."
        return f"Fit to measure, with reserve: {many} doubtful{unread}. {first}"
    return f"Fit to measure: nothing that was checked speaks against it{unread}."
