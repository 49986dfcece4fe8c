"""The quality that strategies declare of their answers, in words: short beside a name, and in sentences."""

from bench.analysis.declared import Declared
from bench.analysis.summary import Summary
from bench.model import HeldOutResult, Quality
from bench.report import text

# beyond these a sentence is a worse table
MOST_NAMED = 4
DAGGER = "\N{DAGGER}"
"""Marks a ratio of two strategies that do not promise the same of their answers."""
OTHER_QUALITY = f"{DAGGER} of another quality than what it is compared with: not the same work"
"""What the mark says, below a table that has it."""


def in_short(one: Declared) -> str:
    """`exact`, `bounded 0.05` or `agreement 99.4%`, as found on the held-out set, else as it is promised."""
    quality = one.quality
    if quality.promise == "bounded":
        return f"bounded {text.difference(quality.tolerance)}"
    if quality.promise == "agreement":
        found = one.held_out
        promised = (
            ""
            if quality.agreement is None
            else f" \N{GREATER-THAN OR EQUAL TO} {_promised(quality.agreement)}"
        )
        return (
            f"agreement{promised}" if found is None else f"agreement {share(found.same_label, found.answers)}"
        )
    return quality.promise


def named(summary: Summary, name: str) -> str:
    """The name of a strategy in a sentence or in a row; behind it its quality, if that is not exact."""
    one = summary.quality_of(name)
    return name if one.exact else f"{name} ({in_short(one)})"


def after_name(summary: Summary, name: str) -> str:
    """What `named` writes behind the name: empty for an exact strategy."""
    return named(summary, name).removeprefix(name)


def mark(summary: Summary, name: str, base: str | None) -> str:
    """The dagger behind a ratio of two strategies that do not promise the same; else nothing."""
    return "" if summary.same_work(name, base) else DAGGER


def promise(quality: Quality, tolerance: float | None = None) -> str:
    """What a strategy declares, in words; `tolerance` is the run's, to which an exact one is held."""
    if quality.promise == "bounded":
        bound = text.difference(quality.tolerance)
        return (
            f"bounded: each probability within {bound} of the reference's, and its label wherever the "
            "reference is surer than that"
        )
    if quality.promise == "agreement":
        least = text.MISSING if quality.agreement is None else _promised(quality.agreement)
        loss = text.MISSING if quality.loss is None else _promised(quality.loss)
        return (
            f"agreement: the reference's label for at least {least} of the held-out pictures, and an "
            f"accuracy at most {loss} below the reference's"
        )
    within = "" if tolerance is None else f", and each probability within {text.difference(tolerance)}"
    return f"exact: the reference's label{within}"


def answers_like(one: Declared) -> str:
    """What answers somebody must put up with to take it: `answers that agree on 99.1% of ... pictures`."""
    found, quality = one.held_out, one.quality
    if quality.promise == "bounded":
        told = f"answers within {text.difference(quality.tolerance)} of the reference's probabilities"
        return told if found is None else f"{told}{_farthest(found)}"
    if found is None:
        least = text.MISSING if quality.agreement is None else _promised(quality.agreement)
        return f"answers that are declared to agree with the reference's on {least} of pictures"
    agrees = share(found.same_label, found.answers)
    return f"answers that agree with the reference's on {agrees} of {pictures(found)}{accuracies(found)}"


def _farthest(found: HeldOutResult) -> str:
    if found.largest_difference is None:
        return ""
    return f" ({text.difference(found.largest_difference)} off at most on {pictures(found)})"


def pictures(found: HeldOutResult) -> str:
    """`2 000 held-out pictures`."""
    return text.plural(found.answers, "held-out picture")


def accuracies(found: HeldOutResult) -> str:
    """` (accuracy 70.9%, the reference's 71.5%)`; empty if no true class is known."""
    if not found.truths:
        return ""
    ours, theirs = (share(right, found.truths) for right in (found.right, found.reference_right))
    return f" (accuracy {ours}, the reference's {theirs})"


def share(part: int, whole: int) -> str:
    """A share of a count in percent with one decimal, cut and not rounded: 1 999 of 2 000 are not 100%."""
    if not whole:
        return text.MISSING
    tenths = part * 1000 // whole
    return "100%" if part == whole else f"{tenths // 10}.{tenths % 10}%"


def _promised(value: float) -> str:
    return f"{100 * value:.6g}%"


def on_held_out(summary: Summary) -> list[str]:
    """How often each strategy agreed on the held-out set, and how accurate it was; empty if none was asked.

    Strategies with the same figures are named together.
    """
    groups: dict[str, list[str]] = {}
    for name, one in summary.declared.items():
        if one.held_out is not None:
            agrees = share(one.held_out.same_label, one.held_out.answers)
            groups.setdefault(f"{agrees}{accuracies(one.held_out)}", []).append(name)
    if not groups:
        return []
    asked = [one.held_out for one in summary.declared.values() if one.held_out is not None]
    told: list[str] = []
    for figures, names in groups.items():
        verb = "" if told else f" agree{'s' if len(names) == 1 else ''} with the reference"
        told.append(f"{_who(names)}{verb} on {figures}")
    return [f"Of {pictures(asked[0])}, {', '.join(told)}."]


def _who(names: list[str]) -> str:
    return text.listing(names) if len(names) <= MOST_NAMED else f"{len(names)} strategies"
