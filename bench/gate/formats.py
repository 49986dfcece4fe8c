"""The files that a judgement is told in: one function each, and one line in a dict."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.gate import junit, markdown, page, texts
from bench.gate.values import Finding, Judgement
from bench.statistics import Comparison

SCHEMA = 1


def as_json(judgement: Judgement) -> str:
    """gate.json, as docs/gate.md has it."""
    found = {
        "schema": SCHEMA,
        "verdict": judgement.verdict,
        "exit_code": judgement.exit_code,
        "sentence": texts.overall(judgement),
        "base": judgement.base_name,
        "head": judgement.head_name,
        "paired": judgement.paired,
        "made": judgement.made,
        "command": judgement.command,
        "suspects": judgement.suspects,
        "findings": [_finding(finding) for finding in judgement.findings],
        "differences": [dataclasses.asdict(one) for one in judgement.differences],
        "environment": judgement.environment,
    }
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Judgement], str]] = {
    "gate.json": as_json,
    "gate.md": markdown.render,
    "gate.html": page.render,
    "gate.junit.xml": junit.render,
}


def write_judgement(judgement: Judgement, folder: Path) -> list[Path]:
    """Write every format into the folder and return the files."""
    written = []
    for name, render in FORMATS.items():
        path = folder / name
        path.write_text(render(judgement), encoding="utf-8")
        written.append(path)
    return written


def _finding(finding: Finding) -> dict[str, Any]:
    found = {field.name: getattr(finding, field.name) for field in dataclasses.fields(finding)}
    return {
        **found,
        "comparison": _comparison(finding.comparison),
        "confirmation": _comparison(finding.confirmation),
    }


def _comparison(found: Comparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "ratio": found.ratio,
        "low": found.low,
        "high": found.high,
        "confidence": found.confidence,
        "rounds": found.n,
        "minimal_detectable_effect": found.minimal_detectable_effect,
        "spread": found.spread,
    }
