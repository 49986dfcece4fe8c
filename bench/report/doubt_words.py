"""Doubts that several strategies or trials have, told once: of whom they are, and an example."""

from bench.analysis.doubt_counts import DoubtCount
from bench.model import in_words
from bench.report import text


def of_whom(one: DoubtCount) -> str:
    """How many trials or doubts of which strategies the example stands for; empty if it stands for itself."""
    trials = one.voided or one.invalid + one.valid
    listed = text.listing(list(one.strategies)) if one.strategies else ""
    if one.alike > 1:
        return f", of {listed}, such as" if listed else f", {one.alike} times, such as"
    such = ", such as" if trials > 1 else ""
    return f", {text.plural(trials, 'trial')} of {listed}{such}" if trials else ""


def told_once(one: DoubtCount) -> str:
    """A doubt of the whole run as a sentence: what is wrong and what to do about it."""
    said = in_words(one.example)
    return said if one.alike == 1 else f"a warning{of_whom(one)}: {said}"
