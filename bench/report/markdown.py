"""report.md: the sentence, the tables, warnings, what the figures say, environment, and how to repeat it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.analysis.cases import load_label, load_size
from bench.analysis.doubt_counts import reasons
from bench.analysis.run_analysis import RunAnalysis
from bench.model import Trial
from bench.report import aa, text
from bench.report.checks import capacities, objectives, repeats, validity
from bench.report.comparisons import comparisons, verdicts
from bench.report.confirmations import tails
from bench.report.costs import cost
from bench.report.driver import driver
from bench.report.insides import loops, stages
from bench.report.loads import loads
from bench.report.machine import machine_line
from bench.report.resources import resources
from bench.report.sentence import sentence
from bench.report.sizes import image_sizes
from bench.report.starts import startup
from bench.report.text import EMPTY, MISSING, table

MEANING = (
    "- A closed loop (clients that each wait for their answer) shows capacity. Its latencies are those of a "
    "service kept full, not those that users of a quieter one would see.",
    "- A trial is one sample: the intervals come from the spread between rounds, on this machine, in one "
    "run. Other machines, cores and days are outside them; ratios travel better than absolute figures.",
    "- Latency counts right answers, from due to done. Failed requests and wrong answers are counted apart.",
    "- A trial called INVALID is left out of every figure. *Not steady* (a window's thirds differ by "
    "more than a tenth, and than chance explains) only warns: such a trial counts.",
    "- `n/a` is a figure that was not measured or that has too few samples; it is never 0.",
)

OPEN = (
    "- An open loop (requests that come due by a schedule, whoever still waits) shows latency at a "
    "rate. Its latencies run from due, not from sent. *Refused* requests (429, 503) are neither errors nor "
    "answers."
)

Section = Callable[[RunAnalysis], list[str]]


def render(analysis: RunAnalysis, pictures: Sequence[Path] = ()) -> str:
    """The whole report; pictures are paths relative to the report."""
    run, summary = analysis.run, analysis.summary
    lines = ["# Benchmark report", "", f"**{sentence(run, summary)}**", "", f"Measured {machine_line(run)}."]
    for title, section in SECTIONS.items():
        found = section(analysis)
        if found:
            lines += ["", f"## {title}", "", *found]
    lines += ["", "## Plots", "", *_pictures(pictures)]
    return "\n".join(lines) + "\n"


def _warnings(analysis: RunAnalysis) -> list[str]:
    run, summary = analysis.run, analysis.summary
    lines = [f"- {warning}" for warning in run.warnings]
    if summary.missing_trials:
        lines.append(f"- {text.plural(summary.missing_trials, 'planned trial')} not made")
    for trial in sorted(run.trials, key=_place):
        place = f"round {trial.round}, {trial.strategy}, {trial.payload_class}"
        place += f", {load_label(trial.load)}" if summary.several_loads else ""
        state = "" if trial.valid else " (INVALID, left out)"
        found = reasons(trial)
        if found:
            lines.append(f"- {place}{state}: {'; '.join(found)}")
    return lines or ["None."]


def _place(trial: Trial) -> tuple[object, ...]:
    return trial.round, trial.strategy, trial.payload_class, trial.encoding, load_size(trial.load)


def _meaning(analysis: RunAnalysis) -> list[str]:
    run, summary = analysis.run, analysis.summary
    offers = sorted({(*load_size(trial.load), load_label(trial.load)) for trial in run.trials})
    loads = [label for _, _, label in offers]
    windows = sorted({trial.window_s for trial in run.trials})
    seconds = text.listing([f"{window:g} s" for window in windows]) if windows else MISSING
    offered = f"- Offered: {'; '.join(loads)}; windows of {seconds}{_warmups(analysis)}."
    offered = offered if loads else "- No load was offered."
    lines = [offered, *MEANING]
    if any(kind != "closed" for kind, _, _ in offers):
        lines.insert(1, OPEN)
    if summary.one_round:
        lines.insert(0, "- One round proves nothing: it shows that everything runs.")
    if run.runtime == "process":
        lines.append("- The services ran as local processes, not in containers: there is no image to size.")
    return lines


def _warmups(analysis: RunAnalysis) -> str:
    """How long the warm-ups were, which by evidence end when they are steady."""
    lengths = [trial.warmup_s for trial in analysis.run.trials]
    least, most = min(lengths, default=0.0), max(lengths, default=0.0)
    return f" after warm-ups of {least:g} s" + ("" if least == most else f" to {most:g} s")


def _environment(analysis: RunAnalysis) -> list[str]:
    rows = text.flat(analysis.run.environment)
    return (
        table(("what", "value"), [[key, value.replace("|", "\\|")] for key, value in rows], 2)
        if rows
        else [EMPTY]
    )


def _command(analysis: RunAnalysis) -> list[str]:
    return ["```sh", analysis.run.command, "```"]


def _pictures(pictures: Sequence[Path]) -> list[str]:
    pngs = [picture for picture in pictures if picture.suffix == ".png"]
    svgs = {picture.with_suffix("").as_posix() for picture in pictures if picture.suffix == ".svg"}
    lines = []
    for png in pngs:
        base = png.with_suffix("").as_posix()
        link = f" ([SVG]({base}.svg))" if base in svgs else ""
        lines += [f"![{png.stem.replace('_', ' ')}]({png.as_posix()}){link}", ""]
    return lines[:-1] or ["None could be drawn."]


SECTIONS: dict[str, Section] = {
    "The same against itself": aa.section,
    "Verdicts": verdicts,
    "Throughput and latency": loads,
    "Service objectives": objectives,
    "Cost": cost,
    "Comparisons": comparisons,
    "The tail": tails,
    "Resources": resources,
    "Startup": startup,
    "Image size": image_sizes,
    "Where the time goes": stages,
    "Service against its own bare loop": loops,
    "The driver's ceiling": driver,
    "Capacities": capacities,
    "Repeated payloads": repeats,
    "Which trials count": validity,
    "Warnings": _warnings,
    "What these figures say, and what not": _meaning,
    "Environment": _environment,
    "Made by": _command,
}
