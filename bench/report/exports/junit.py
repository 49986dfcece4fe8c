"""JUnit XML: a suite a run, a case a strategy and load; figures are properties of the suite.

It keeps to what Ant's schema and the one of Jenkins (junit-10) both allow, so a case has no properties of
its own and the host has no name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from bench.analysis.cases import Case, case_name
from bench.analysis.doubt_counts import doubts_of_the_run, reasons
from bench.analysis.figures import figures
from bench.analysis.run_analysis import RunAnalysis
from bench.model import Trial, in_words
from bench.report import text
from bench.report.plain import one_line, printable
from bench.report.report import Report

MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class _Test:
    """A test case: `kind` is "" if it passed, else "invalid", "wrong answers" or "skipped"."""

    strategy: str
    name: str
    seconds: float
    kind: str = ""
    message: str = ""
    details: str = ""


def render(report: Report) -> str:
    """The document: failures if all trials are invalid or answers were wrong, skips if no trial was made.

    A run without any trial has one failed case, because missing data is not a pass.
    """
    analysis = report.analysis
    tests = _tests(analysis)
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", _suite_attributes(analysis, tests))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(analysis):
        ElementTree.SubElement(properties, "property", name=one_line(name), value=one_line(value))
    for test in tests:
        suite.append(_element(test))
    ElementTree.SubElement(suite, "system-out").text = printable(f"{report.choice} {report.checked}")
    ElementTree.SubElement(suite, "system-err").text = printable(
        "\n".join(map(in_words, doubts_of_the_run(analysis.run)))
    )
    ElementTree.indent(suites, " ")
    # its own declaration would name the encoding of this machine's locale
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suites, "unicode")}\n'


def _suite_attributes(analysis: RunAnalysis, tests: Sequence[_Test]) -> dict[str, str]:
    failed = sum(test.kind not in ("", "skipped") for test in tests)
    return {
        "name": "bench",
        "package": "bench",
        "id": "0",
        "hostname": "localhost",
        **_timestamp(analysis.run.created),
        "tests": str(len(tests)),
        "failures": str(failed),
        "errors": "0",
        "skipped": str(sum(test.kind == "skipped" for test in tests)),
        "time": _seconds(sum(round(test.seconds, 3) for test in tests)),
    }


def _timestamp(created: str) -> dict[str, str]:
    """When the run began, in UTC and without a zone, as the schema wants it; nothing if it is not a time."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return {}
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return {"timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S")}


def _tests(analysis: RunAnalysis) -> list[_Test]:
    summary = analysis.summary
    found = [_test(analysis, name, case) for case in summary.cases for name in summary.strategies]
    return found or [_Test("bench", "any trial", 0.0, "invalid", "no trial was made")]


def _test(analysis: RunAnalysis, name: str, case: Case) -> _Test:
    row = analysis.summary.rows.get((name, case))
    if row is None:
        return _Test(name, case_name(case), 0.0, "skipped", "not measured in this run")
    trials = analysis.trials(row)
    seconds = sum(trial.warmup_s + trial.window_s + (trial.overhead_s or 0.0) for trial in trials)
    kind, message = "", ""
    if row.wrong_answers:
        wrong = text.plural(row.wrong_answers, "wrong answer")
        kind, message = "wrong answers", f"{wrong} in {text.plural(row.requests, 'request')}"
    elif not row.valid_trials:
        kind, message = "invalid", f"no valid trial of {len(trials)}: {_why(trials)}"
    return _Test(name, case_name(case), seconds, kind, message, _details(trials) if kind else "")


def _why(trials: Sequence[Trial]) -> str:
    """The first few reasons, each once."""
    found = list(dict.fromkeys(in_words(one) for trial in trials for one in reasons(trial)))
    more = len(found) - MOST_REASONS
    return "; ".join([*found[:MOST_REASONS], *([f"and {more} more"] if more > 0 else [])])


def _details(trials: Sequence[Trial]) -> str:
    told = [
        f"round {trial.round}: {'; '.join(map(in_words, found))}"
        for trial in trials
        if (found := reasons(trial))
    ]
    return "\n".join(told)


def _properties(analysis: RunAnalysis) -> list[tuple[str, str]]:
    """What the figures were measured on and with, and each that there is, in its unit."""
    run, summary = analysis.run, analysis.summary
    valid = text.valid_trials(run, summary)
    found = [("command", run.command), ("runtime", run.runtime), ("valid trials", valid)]
    found += [(name, value) for name, value in text.environment(run.environment) if value != text.MISSING]
    for one in figures(analysis):
        if one.estimate is not None:
            found.append((f"{one.name}, {one.unit}", f"{one.estimate.centre:.6g}"))
    return found


def _element(test: _Test) -> ElementTree.Element:
    attributes = {"classname": test.strategy, "name": test.name, "time": _seconds(test.seconds)}
    element = ElementTree.Element("testcase", {key: one_line(value) for key, value in attributes.items()})
    if test.kind == "skipped":
        ElementTree.SubElement(element, "skipped").text = printable(test.message)
    elif test.kind:
        failure = ElementTree.SubElement(element, "failure", type=test.kind, message=one_line(test.message))
        failure.text = printable(test.details)
    return element


def _seconds(value: float) -> str:
    return f"{value:.3f}"
