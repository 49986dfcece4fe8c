"""A comparison of two runs as JSON; what is missing is null."""

import dataclasses
import json
from typing import Any

from bench.analysis.run_comparison import Counted, Measured, RunComparison
from bench.report.between.doubts import doubts
from bench.report.between.sentence import sentence
from bench.report.machine import machine_line
from bench.report.verdict_words import counted_word, measured_word

SCHEMA = 1


def as_json(found: RunComparison) -> str:
    """All of it, with the verdicts' words, in one object."""
    whole = {
        "schema": SCHEMA,
        "judges": found.judges,
        "base_name": found.base_name,
        "head_name": found.head_name,
        "sentence": sentence(found),
        "doubts": doubts(found),
        "differing": [dataclasses.asdict(one) for one in found.differing],
        "measured": [_measured(one) for one in found.measured],
        "counted": [_counted(one) for one in found.counted],
        "only_base": found.only_base,
        "only_head": found.only_head,
        "own_rates": found.own_rates,
        "base_machine": machine_line(found.base),
        "head_machine": machine_line(found.head),
    }
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _measured(one: Measured) -> dict[str, Any]:
    return {**dataclasses.asdict(one), "word": measured_word(one) or None, "differs": one.differs}


def _counted(one: Counted) -> dict[str, Any]:
    return {**dataclasses.asdict(one), "word": counted_word(one) or None}
