"""A finding's figures as the cells of a table."""

from bench.gate import texts
from bench.gate.limit_texts import size
from bench.gate.metrics import LIMITS, PRIMARY
from bench.gate.values import Finding
from bench.report import text
from bench.report.text import MISSING


def label(finding: Finding) -> str:
    """What the finding is of: `onnx throughput`."""
    return f"{finding.strategy} {texts.label(finding)}"


def figure(finding: Finding, value: float | None) -> str:
    """One side's figure with its unit."""
    if value is None:
        return MISSING
    unit = (PRIMARY if finding.kind == "primary" else LIMITS)[finding.metric].unit
    if unit == "bytes":
        return size(value)
    if unit == "share":
        return texts.percentage(value)
    return text.spaced(value) if unit == "count" else f"{text.number(value)} {unit}"


def ratio(finding: Finding) -> str:
    """Head over base with its interval; a limit's where both sides have a size."""
    if finding.kind == "primary":
        found = finding.comparison
        return MISSING if found is None else texts.within(found, finding.edge)
    if finding.kind == "strategy" or not LIMITS[finding.metric].increases:
        return ""
    return f"{finding.head / finding.base:.3f}{text.TIMES}" if finding.base and finding.head else MISSING


def detectable(finding: Finding) -> str:
    """The least difference that so many rounds tell apart; nothing for what chance does not move."""
    if finding.kind != "primary":
        return ""
    found = finding.comparison
    effect = found.minimal_detectable_effect if found else None
    return MISSING if effect is None else f"±{text.percent(effect)}"
