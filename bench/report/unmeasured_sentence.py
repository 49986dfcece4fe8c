"""What was asked for and not measured, in a sentence."""

from collections.abc import Sequence

from bench.analysis.cases import case_name
from bench.analysis.unmeasured import Unmeasured
from bench.model import TITLES, objective_label
from bench.report import text

MOST_NAMED = 4


def not_measured(found: Sequence[Unmeasured]) -> str:
    """`asked for and not measured: onnx small, json, 50 clients (none of 6 trials is valid: ...)`."""
    named = [f"{one.strategy} {_what(one)}{_why(one)}" for one in found[:MOST_NAMED]]
    more = len(found) - len(named)
    return f"asked for and not measured: {'; '.join([*named, *([f'and {more} more'] if more else [])])}"


def _what(one: Unmeasured) -> str:
    if one.objective is not None:
        asked = one.objective
        label = objective_label(asked.quantile, asked.bound_ms)
        return f"{asked.payload_class}, {asked.encoding}, {label} ({asked.why_none})"
    return case_name(one.case) if one.case else one.part


def _why(one: Unmeasured) -> str:
    """How many trials are void, and the gravest reason."""
    if not one.trials:
        return ""
    none = "its only trial is void" if one.trials == 1 else f"all {text.plural(one.trials, 'trial')} are void"
    return f" ({none}{f': {TITLES[one.why.code]}' if one.why else ''})"
