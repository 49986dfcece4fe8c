"""The JSON that github-action-benchmark reads: customSmallerIsBetter and customBiggerIsBetter.

A missing figure is left out. The action itself fails on an array of none, so that no data is no pass.
"""

import json
from typing import Any

from bench.analysis.figures import Better, Figure, figures
from bench.analysis.run_analysis import RunAnalysis
from bench.report import text
from bench.report.report import Report
from bench.statistics import Estimate


def smaller(report: Report) -> str:
    """Latencies, CPU time, memory, starts and images, as customSmallerIsBetter."""
    return _render(report.analysis, "less")


def bigger(report: Report) -> str:
    """Throughput under closed loads, and the rates up to which objectives held, as customBiggerIsBetter."""
    return _render(report.analysis, "more")


def _render(analysis: RunAnalysis, better: Better) -> str:
    unchecked = ", ANSWERS UNCHECKED" if analysis.summary.unchecked else ""
    entries = [
        _entry(one, one.estimate, unchecked)
        for one in figures(analysis)
        if one.better == better and one.estimate
    ]
    return json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _entry(figure: Figure, estimate: Estimate, unchecked: str) -> dict[str, Any]:
    entry = {"name": figure.name, "unit": figure.unit, "value": _number(figure, estimate.centre)}
    if estimate.low is not None and estimate.high is not None:
        low, high = (_number(figure, end) for end in (estimate.low, estimate.high))
        entry["range"] = f"95%: {low}{text.DASH}{high}"
    return {**entry, "extra": f"{text.plural(estimate.n, figure.of.removesuffix('s'))}{unchecked}"}


def _number(figure: Figure, value: float) -> float | int:
    """Bytes as they are, all else to six digits."""
    return round(value) if figure.unit == "bytes" else float(f"{value:.6g}")
