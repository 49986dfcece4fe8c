"""A finding: one check, how it went, what was found, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Grade = Literal["bad", "doubtful", "unknown", "good"]
# worst first: what may be wrong comes before what is right
GRADES: tuple[Grade, ...] = ("bad", "doubtful", "unknown", "good")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of this machine: "bad" spoils a measurement, "doubtful" widens or shifts its figures.

    "unknown" is a fact that could not be read here. `remedy` is empty if there is nothing to do.
    """

    name: str
    grade: Grade
    what: str
    remedy: str = ""


def spoils(findings: Iterable[Finding]) -> bool:
    """Whether any finding would spoil a measurement."""
    return any(finding.grade == "bad" for finding in findings)


def graded(value: float, doubtful_above: float, bad_above: float) -> Grade:
    """The grade of a figure that is better the smaller it is."""
    return "bad" if value > bad_above else "doubtful" if value > doubtful_above else "good"


def graded_least(value: float, doubtful_below: float, bad_below: float) -> Grade:
    """The grade of a figure that is better the larger it is."""
    return "bad" if value < bad_below else "doubtful" if value < doubtful_below else "good"


def worst(*grades: Grade) -> Grade:
    """The worst of the grades."""
    return min(grades, key=GRADES.index)


def finding(name: str, grade: Grade, what: str, remedy: str) -> Finding:
    """A finding whose remedy is left out if its grade is good."""
    return Finding(name, grade, what, "" if grade == "good" else remedy)


def unread(name: str, what: str, remedy: str = "") -> Finding:
    """The finding of a fact that cannot be read here."""
    return Finding(name, "unknown", what, remedy)
