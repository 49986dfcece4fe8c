"""What each picture shows, in words: for whoever cannot see it."""

from collections.abc import Callable

from bench.analysis.cases import Case
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.starts import every_start
from bench.analysis.summary import Row, Summary
from bench.model import objective_label
from bench.report import text
from bench.report.text import MISSING
from bench.statistics import median


def alt_text(name: str, analysis: RunAnalysis) -> str:
    """The alternative text of the picture with this file name, without the suffix."""
    title = name.replace("_", " ").capitalize()
    describe = ALTS.get(name)
    said = describe(analysis) if describe else "its figures are in the tables of this section."
    return f"{title}: {said}"


def _throughput(analysis: RunAnalysis) -> str:
    return f"bars of requests per second. {_of_focus(analysis, 'throughput')}"


def _latency(analysis: RunAnalysis) -> str:
    what = "response time by percentile, one line a strategy, on a log scale"
    return f"{what}. The p99 in ms: {_of_focus(analysis, 'p99')}"


def _load(analysis: RunAnalysis) -> str:
    """From the least load to the most, per strategy: what p99 does."""
    summary = analysis.summary
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for (name, case), row in summary.rows.items():
        kind = "closed" if case.kind == "closed" else "open"
        groups.setdefault((name, summary.payload_label(case), kind), []).append(row)
    said = [
        f"{name}, {payloads}: p99 {_p99(rows[0])} at {rows[0].case.load}, {_p99(rows[-1])} at "
        f"{rows[-1].case.load}"
        for (name, payloads, _), rows in groups.items()
        if len(rows) > 1
    ]
    return f"requests answered and latency over the load that was offered. {_listed(said)}"


def _objectives(analysis: RunAnalysis) -> str:
    said = [
        f"{one.strategy}, {one.payload_class}, {objective_label(one.quantile, one.bound_ms)} "
        + ("not held" if one.rate_per_s is None else f"held up to {text.number(one.rate_per_s)} requests/s")
        for one in analysis.run.objectives
    ]
    return f"latency and goodput at each rate that was tried. {_listed(said)}"


def _batching(analysis: RunAnalysis) -> str:
    summary = analysis.summary
    said = [
        f"{row.strategy}, {summary.case_label(row.case)}: {text.number(found.centre)} items"
        for row in summary.rows.values()
        if (found := row.estimates["batch"]) is not None
    ]
    return f"batch size and queue delay over the load that was offered. Mean batch: {_listed(said)}"


def _timeline(analysis: RunAnalysis) -> str:
    summary = analysis.summary
    trials = [
        trial for row in summary.rows.values() if row.case in summary.focus for trial in analysis.trials(row)
    ]
    invalid = text.plural(sum(not trial.valid for trial in trials), "invalid trial")
    shown = text.plural(len(trials), "trial")
    return f"answers per second and response time over the time of each of {shown}, {invalid} among them."


def _p99(row: Row) -> str:
    found = row.estimates["p99"]
    return MISSING if found is None else f"{text.number(found.centre)} ms"


def _resources(analysis: RunAnalysis) -> str:
    cpu = _of_focus(analysis, "cpu")
    memory = _of_focus(analysis, "memory", 1 / text.MIB)
    return f"bars of CPU and memory. CPU-ms a request: {cpu} Peak memory in MiB: {memory}"


def _pareto(analysis: RunAnalysis) -> str:
    rates, tails = _of_focus(analysis, "throughput"), _of_focus(analysis, "p99")
    what = "throughput against p99: right and low is better"
    return f"{what}. Requests per second: {rates} The p99 in ms: {tails}"


def _stages(analysis: RunAnalysis) -> str:
    summary = analysis.summary
    said = [
        f"{_who(summary, row.strategy, row.case)} "
        + ", ".join(f"{stage} {text.number(found.centre)} ms" for stage, found in row.stages.items())
        for row in summary.rows.values()
        if row.case in summary.focus and row.stages
    ]
    return f"time of each stage inside the service. {_listed(said)}"


def _startup(analysis: RunAnalysis) -> str:
    said = []
    for name, found in every_start(analysis.run):
        middle = median(found.first_correct_answer_s) if found else None
        if found is not None and middle is not None:
            said.append(f"{name} {text.number(middle.centre)} s with a {found.model_cache} model cache")
    return f"phases of a start, stacked, up to the first correct answer. {_listed(said)}"


def _image_size(analysis: RunAnalysis) -> str:
    said = [
        f"{name} {text.mebibytes(result.image.unpacked_bytes)} unpacked, "
        f"{text.mebibytes(result.image.compressed_bytes)} compressed"
        for name, result in analysis.run.strategies.items()
        if result.image is not None
    ]
    return f"image sizes, stacked. {_listed(said)}"


def _of_focus(analysis: RunAnalysis, metric: str, scale: float = 1.0) -> str:
    """Each strategy's figure in the cases that stand for the run."""
    summary = analysis.summary
    said = [
        f"{_who(summary, name, case)} {text.estimate(summary.rows[name, case].estimates[metric], scale)}"
        for case in summary.focus
        for name in summary.strategies
        if (name, case) in summary.rows
    ]
    return _listed(said)


def _who(summary: Summary, name: str, case: Case) -> str:
    return f"{name}, {summary.case_label(case)}:" if len(summary.focus) > 1 else name


def _listed(said: list[str]) -> str:
    return f"{'; '.join(said)}." if said else f"No figures: {MISSING}."


ALTS: dict[str, Callable[[RunAnalysis], str]] = {
    "throughput": _throughput,
    "latency": _latency,
    "load": _load,
    "objectives": _objectives,
    "batching": _batching,
    "timeline": _timeline,
    "pareto": _pareto,
    "resources": _resources,
    "stages": _stages,
    "startup": _startup,
    "image_size": _image_size,
}
