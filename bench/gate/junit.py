"""JUnit XML: a test case a rule, so that any CI system shows the gate among its tests."""

import re
from xml.etree import ElementTree

from bench.gate.texts import overall
from bench.gate.values import Finding, Judgement, Verdict

# the state of a test case for each verdict; a pass has none
STATES: dict[Verdict, str] = {"regression": "failure", "invalid": "error", "inconclusive": "skipped"}
# XML 1.0 has no way to write these, not even escaped
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(judgement: Judgement) -> str:
    """A suite of one case a rule: failure, error or skipped with the finding's sentence, or a plain pass."""
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
        "made": judgement.made,
    }.items():
        ElementTree.SubElement(properties, "property", {"name": name, "value": _writable(value)})
    for finding in judgement.findings:
        _case(suite, finding)
    ElementTree.indent(suites)
    text = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _case(suite: ElementTree.Element, finding: Finding) -> None:
    names = {"classname": f"gate.{finding.kind}.{finding.strategy}", "name": finding.rule}
    case = ElementTree.SubElement(suite, "testcase", {k: _writable(v) for k, v in names.items()})
    state = STATES.get(finding.verdict)
    told = _writable("\n".join([finding.sentence, *finding.notes]))
    if state is None:
        ElementTree.SubElement(case, "system-out").text = told
        return
    attributes = {"message": _writable(finding.sentence)}
    if state != "skipped":
        attributes["type"] = finding.verdict
    ElementTree.SubElement(case, state, attributes).text = told


def _writable(text: str) -> str:
    return UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
