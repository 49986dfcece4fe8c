"""The files of a judgement for programs and for a pull request: gate.json, gate.md and JUnit XML."""

import dataclasses
import json
from typing import Any
from xml.etree import ElementTree

import msgspec

from bench.gate import Judgement, RuleFinding, Verdict
from bench.model import in_words
from bench.report.plain import one_line, printable, without_links
from bench.report.sentence import machine_line
from bench.report.verdict.verdict_sections import findings, folded
from bench.report.verdict.verdict_sentences import TITLES, bound, finding_sentence, overall, sides
from bench.report.writers.markdown import blocks
from bench.statistics import Comparison

SCHEMA = 1
# the state of a test case for each verdict; a pass has none
CASE_STATES: dict[Verdict, str] = {"regression": "failure", "invalid": "error", "inconclusive": "skipped"}


def as_json(judgement: Judgement) -> str:
    """gate.json, as docs/gate.md has it."""
    values = {
        "schema": SCHEMA,
        "verdict": judgement.verdict,
        "exit_code": judgement.exit_code,
        "sentence": overall(judgement),
        "base": judgement.base_name,
        "head": judgement.head_name,
        "paired": judgement.paired,
        "made": machine_line(judgement.head),
        "command": judgement.head.command,
        "suspects": judgement.suspects,
        "uptimes": None if judgement.uptimes is None else dataclasses.asdict(judgement.uptimes),
        "not_judged": [
            {"strategy": one.strategy, "side": one.who, "code": one.doubt.code, "why": in_words(one.doubt)}
            for one in judgement.not_measured
        ],
        "findings": [_finding(finding) for finding in judgement.findings],
        "differences": [dataclasses.asdict(one) for one in judgement.differences],
        "environment": msgspec.to_builtins(judgement.head.environment),
    }
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def as_markdown(judgement: Judgement) -> str:
    """gate.md for a pull request: the verdict on top, a table of all rules, and the rest folded away."""
    lines = [f"## Gate: {TITLES[judgement.verdict].lower()}", ""]
    lines += [
        f"**{without_links(one_line(overall(judgement)))}**",
        "",
        without_links(one_line(sides(judgement))),
        "",
    ]
    lines += blocks(findings(judgement), without_links)
    for section in folded(judgement):
        content = blocks(section.blocks, without_links)
        lines += ["", f"<details><summary>{section.title}</summary>", "", *content, "", "</details>"]
    return "\n".join(lines) + "\n"


def as_junit(judgement: Judgement) -> str:
    """JUnit XML: a case a rule, which fails, errs or is skipped with its sentence, or passes."""
    verdicts = [finding.verdict for finding in judgement.findings]
    counts = {
        "tests": str(len(verdicts)),
        "failures": str(verdicts.count("regression")),
        "errors": str(verdicts.count("invalid")),
        "skipped": str(verdicts.count("inconclusive")),
    }
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "bench gate", **counts})
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in {
        "verdict": judgement.verdict,
        "sentence": overall(judgement),
        "base": judgement.base_name,
        "head": judgement.head_name,
        "made": machine_line(judgement.head),
    }.items():
        ElementTree.SubElement(properties, "property", {"name": name, "value": printable(value)})
    for finding in judgement.findings:
        _case(suite, finding)
    ElementTree.indent(suites)
    body = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _finding(finding: RuleFinding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "kind": finding.kind,
        "strategy": finding.strategy,
        "metric": finding.metric,
        "verdict": finding.verdict,
        "sentence": finding_sentence(finding),
        "bound": bound(finding),
        "edge": finding.edge,
        "base": finding.base,
        "head": finding.head,
        "comparison": _comparison(finding.comparison),
        "adjusted_p": finding.adjusted_p,
        "confirmation": _comparison(finding.confirmation),
        "rounds_to_decide": finding.rounds_to_decide,
        "suspect": finding.suspect,
        "notes": finding.notes,
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


def _case(suite: ElementTree.Element, finding: RuleFinding) -> None:
    names = {"classname": f"gate.{finding.kind}.{finding.strategy}", "name": finding.rule}
    case = ElementTree.SubElement(suite, "testcase", {k: printable(v) for k, v in names.items()})
    state = CASE_STATES.get(finding.verdict)
    sentence = finding_sentence(finding)
    details = printable("\n".join([sentence, *finding.notes]))
    if state is None:
        ElementTree.SubElement(case, "system-out").text = details
        return
    attributes = {"message": printable(sentence)}
    if state != "skipped":
        attributes["type"] = finding.verdict
    ElementTree.SubElement(case, state, attributes).text = details
