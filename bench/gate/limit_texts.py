"""The sentences of limits: what was counted, of how many, against which bound."""

from dataclasses import dataclass

from bench.gate.metrics import LimitMetric
from bench.gate.rules import Limit
from bench.gate.texts import percentage
from bench.gate.values import Verdict
from bench.report import text
from bench.statistics import CONFIDENCE

SIZES = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "bytes"))


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a limit when its sentence is written; `checked` answers over so many `trials`.

    `problem` says why it cannot be judged, where that is not what the figures themselves tell.
    """

    rule: Limit
    metric: LimitMetric
    strategy: str
    verdict: Verdict
    head: float | None
    base: float | None
    checked: int
    trials: int
    problem: str = ""


def sentence(told: Told) -> str:
    """The finding of a limit in one sentence."""
    name = f"{told.strategy} {told.metric.label}"
    if told.verdict == "invalid":
        return f"{name} not judged: {_missing(told)}"
    return f"{name}: {_figure(told)}, {_side(told)}"


def bound(rule: Limit) -> str:
    """What the rule lets pass: `at most 2 MB more`."""
    return f"at most {rule.amount.written}" + (" more" if rule.kind == "increase" else "")


def size(value: float) -> str:
    """Bytes in the unit of a thousand that suits them: `5.03 MB`."""
    unit, name = next(((unit, name) for unit, name in SIZES if abs(value) >= unit), SIZES[-1])
    return f"{text.spaced(value)} bytes" if unit == 1 else f"{text.number(value / unit)} {name}"


def excluded_rate(checked: int) -> float:
    """The least rate of wrong answers that none among so many excludes at 95%: about 3 in that number."""
    return float(1 - (1 - CONFIDENCE) ** (1 / checked))


def _missing(told: Told) -> str:
    if told.problem:
        return told.problem
    if told.metric.unit == "bytes":
        whose = "head" if told.head is None else "base"
        return f"the size of {whose}'s image was not measured, which takes containers"
    if not told.trials:
        return "head has no trial of it"
    return f"of {text.plural(told.trials, 'trial')} of head, one or more broke off or made no requests"


def _figure(told: Told) -> str:
    head = told.head or 0.0
    if told.metric.unit == "bytes":
        return size(head) + ("" if told.base is None else _change(head - told.base))
    if told.metric.unit == "share":
        return f"{percentage(head)} over {text.plural(told.trials, 'trial')}"
    found = f"{text.spaced(head)} of {text.plural(told.checked, 'answer')} checked"
    if head == 0:
        found += f", which excludes a rate above {percentage(excluded_rate(told.checked))} at 95%"
    return found


def _change(more: float) -> str:
    if more == 0:
        return ", as much as base"
    return f", {size(abs(more))} {'more' if more > 0 else 'less'} than base ({more:+.0f} bytes)"


def _side(told: Told) -> str:
    where = "beyond" if told.verdict == "regression" else "within"
    return f"{where} the limit ({bound(told.rule)})"
