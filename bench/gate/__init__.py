"""The regression gate: its rules, its judgement of measured runs, and how a verdict is told."""

from bench.gate.judge import judge
from bench.gate.rules import FILE_NAME, GateRun, Rules, check_strategies, read_rules
from bench.gate.values import EXIT_CODES, Batch, Finding, Judgement, Verdict

__all__ = [
    "EXIT_CODES",
    "FILE_NAME",
    "Batch",
    "Finding",
    "GateRun",
    "Judgement",
    "Rules",
    "Verdict",
    "check_strategies",
    "judge",
    "read_rules",
]
