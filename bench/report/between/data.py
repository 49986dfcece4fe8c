"""A comparison of two runs as JSON; what is missing is null."""

import dataclasses
import json
from typing import Any

from bench.report.between.values import Between

SCHEMA = 1


def as_json(found: Between) -> str:
    """All of it, with the verdicts' words, in one object."""
    whole: dict[str, Any] = {"schema": SCHEMA, "judges": found.judges, **dataclasses.asdict(found)}
    whole["base_machine"], whole["head_machine"] = whole.pop("machines")
    for side in ("measured", "counted"):
        for entry, one in zip(whole[side], getattr(found, side), strict=True):
            entry["word"] = one.word or None
    for entry, measured in zip(whole["measured"], found.measured, strict=True):
        entry["differs"] = measured.differs
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
