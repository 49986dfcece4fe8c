"""The regression gate: its rules, and its judgement of measured runs, as values without text."""

from bench.gate.findings import EXIT_CODES, Judgement, RuleFinding, Verdict
from bench.gate.judgement import judge
from bench.gate.rules import FILE_NAME, GateRun, Rules, check_strategies, read_rules
from bench.gate.values import Batch

__all__ = [
    "EXIT_CODES",
    "FILE_NAME",
    "Batch",
    "GateRun",
    "Judgement",
    "RuleFinding",
    "Rules",
    "Verdict",
    "check_strategies",
    "judge",
    "read_rules",
]
