"""report.md: the sentence, the tables, warnings, what the figures say, environment, and how to repeat it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.model import Run, Trial
from bench.report import images, text
from bench.report.insides import loops, stages
from bench.report.sentence import sentence
from bench.report.summary import Case, Row, Summary, load_label, load_size, startup_s, summarise
from bench.report.text import EMPTY, MISSING, number, table
from bench.statistics import median

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
    "- An open loop (requests that come due at random instants, whoever still waits) shows latency at a "
    "rate. Its latencies run from due, not from sent. *Refused* requests (429, 503) are neither errors nor "
    "answers."
)

Section = Callable[[Run, Summary], list[str]]

INTERVALS = (
    "In brackets, 95% intervals over rounds: requests/s a geometric mean with t on the logs; the ratio "
    "paired by round; latency the median of the rounds by order statistics, which takes six of them. "
    "*Detectable from*: the least difference that so many rounds find in 80 of 100 runs."
)


def render(run: Run, pictures: Sequence[Path] = ()) -> str:
    """The whole report; pictures are paths relative to the report."""
    summary = summarise(run)
    lines = ["# Benchmark report", "", f"**{sentence(run, summary)}**", "", f"Measured {machine_line(run)}."]
    for title, section in SECTIONS.items():
        found = section(run, summary)
        if found:
            lines += ["", f"## {title}", "", *found]
    lines += ["", "## Plots", "", *_pictures(pictures)]
    return "\n".join(lines) + "\n"


FORMATS: dict[str, Callable[[Run, Sequence[Path]], str]] = {"report.md": render}


def machine_line(run: Run) -> str:
    """When, on what and how the run was made, in one line."""
    environment = run.environment
    memory = environment.get("memory_bytes")
    parts = [
        f"{run.created[:10]} on {environment.get('cpu_model') or 'an unnamed CPU'}",
        f"{environment.get('cores') or MISSING} cores",
        f"{memory / 1024**3:.0f} GiB of memory" if isinstance(memory, int | float) else "",
        f"service on core {environment['service_cores']}" if environment.get("service_cores") else "",
        f"driver on core {environment['driver_cores']}" if environment.get("driver_cores") else "",
        f"runtime {run.runtime}",
    ]
    return ", ".join(part for part in parts if part)


def _throughput(_run: Run, summary: Summary) -> list[str]:
    """One table a class of payloads: throughput, ratio to the baseline, latency, errors; a row a load."""
    lines: list[str] = []
    for group in _groups(summary):
        loads = list(dict.fromkeys(case.load for case in group))
        is_open = any(case.kind == "open" for case in group)
        header = ["load", "strategy"] if len(loads) > 1 else ["strategy"]
        header += ["requests/s", f"ratio to {summary.baseline or MISSING}", "detectable from"]
        header += ["p50 ms", "p95 ms", "p99 ms", "errors", *(["refused"] if is_open else []), "wrong"]
        header += ["valid trials"]
        what = f"{group[0].encoding}, {loads[0]}" if len(loads) == 1 else group[0].encoding
        lines += ["", f"### {summary.payload_label(group[0]).capitalize()} payloads ({what})", ""]
        rows = [
            summary.rows[n, case] for case in group for n in summary.strategies if (n, case) in summary.rows
        ]
        cells = [_throughput_cells(summary, row, is_open=is_open) for row in rows]
        if len(loads) > 1:
            cells = [[row.case.load, *line] for row, line in zip(rows, cells, strict=True)]
        lines += table(header, cells, min(len(loads), 2))
    spread = "One round: no intervals." if summary.one_round else INTERVALS
    return [*lines[1:], "", spread] if lines else [EMPTY]


def _groups(summary: Summary) -> list[list[Case]]:
    """The cases by class of payloads and encoding."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in summary.cases:
        groups.setdefault((case.payload_class, case.encoding), []).append(case)
    return list(groups.values())


def _throughput_cells(summary: Summary, row: Row, *, is_open: bool) -> list[str]:
    baseline = row.strategy == summary.baseline
    effect = row.to_baseline.minimal_detectable_effect if row.to_baseline and not baseline else None
    return [
        row.strategy,
        text.estimate(row.estimates["throughput"]),
        "1 (baseline)" if baseline else text.ratio(row.to_baseline),
        f"±{text.percent(effect)}" if effect is not None else ("" if baseline else MISSING),
        *(text.estimate(row.estimates[name]) for name in ("p50", "p95", "p99")),
        text.spaced(row.errors),
        *([_refused(row)] if is_open else []),
        text.spaced(row.wrong_answers),
        f"{row.valid_trials} of {row.valid_trials + row.invalid_trials}",
    ]


def _refused(row: Row) -> str:
    return MISSING if row.refused is None else text.spaced(row.refused)


def _resources(_run: Run, summary: Summary) -> list[str]:
    header = ("strategy", "payloads", "CPU-ms a request", "peak memory, MiB", "driver CPU-ms a request")
    rows = [
        [
            row.strategy,
            summary.case_label(row.case),
            text.estimate(row.estimates["cpu"]),
            text.estimate(row.estimates["memory"], 1 / text.MIB),
            text.estimate(row.estimates["driver_cpu"]),
        ]
        for row in summary.rows.values()
    ]
    return table(header, rows, 2) if rows else [EMPTY]


def _startup(run: Run, _summary: Summary) -> list[str]:
    header = ("strategy", "first correct answer, s", "starts", "model cache", "medians of the phases, s")
    rows = []
    for name, result in run.strategies.items():
        startup = result.startup
        starts = startup.first_correct_answer_s if startup else ()
        phases = [
            f"{text.phase_name(phase)} {number(found.centre)}"
            for phase, values in (startup.phases.items() if startup else ())
            if (found := median(values)) is not None
        ]
        cache = startup.model_cache if startup else MISSING
        total = text.estimate(startup_s(result))
        rows.append([name, total, str(len(starts)), cache, ", ".join(phases) or MISSING])
    note = (
        "Seconds since the container's create call, medians over fresh starts; intervals by order statistics."
    )
    return [*table(header, rows), "", note] if rows else [EMPTY]


def _images(run: Run, _summary: Summary) -> list[str]:
    header = ("strategy", "compressed", "unpacked", "base shared by all", "the rest", "of the rest, shared")
    shared = images.shared_layers(run)
    rows = []
    for name, result in run.strategies.items():
        image = result.image
        base = sum(layer.unpacked_bytes for layer in shared) if image else None
        sizes = (
            image.compressed_bytes if image else None,
            image.unpacked_bytes if image else None,
            base,
            image.unpacked_bytes - base if image and base is not None else None,
        )
        rows.append([name, *(text.mebibytes(size) for size in sizes), _overlap(images.overlap(run, name))])
    note = "The last three are unpacked. What images share, a host pulls and stores once."
    return [*table(header, rows), "", note] if rows else [EMPTY]


def _overlap(found: images.Overlap) -> str:
    return f"{text.mebibytes(found.unpacked_bytes)} with {', '.join(found.others)}" if found.others else ""


def _ceilings(run: Run, summary: Summary) -> list[str]:
    header = (
        "payloads",
        "driver, requests/s",
        "driver CPU-ms",
        "ab, requests/s",
        "ab CPU-ms",
        "highest measured",
    )
    rows = []
    for ceiling in run.ceilings:
        rates = [
            found.centre
            for row in summary.rows.values()
            if (row.case.payload_class, row.case.encoding) == (ceiling.payload_class, ceiling.encoding)
            and (found := row.estimates["throughput"]) is not None
        ]
        share = max(rates) / ceiling.throughput_rps if rates and ceiling.throughput_rps else None
        rows.append(
            [
                f"{ceiling.payload_class}, {ceiling.encoding}, {ceiling.clients} clients",
                number(ceiling.throughput_rps),
                number(ceiling.driver_cpu_ms_per_request),
                number(ceiling.ab_throughput_rps),
                number(ceiling.ab_cpu_ms_per_request),
                text.percent(share),
            ]
        )
    note = (
        "The driver against a target that answers at once. Highest measured: the fastest strategy as a share "
        "of that ceiling; above 50% the driver is in the way."
    )
    return [*table(header, rows), "", note] if rows else [EMPTY]


def _warnings(run: Run, summary: Summary) -> list[str]:
    lines = [f"- {warning}" for warning in run.warnings]
    if summary.missing_trials:
        lines.append(f"- {text.plural(summary.missing_trials, 'planned trial')} not made")
    for trial in sorted(run.trials, key=_place):
        place = f"round {trial.round}, {trial.strategy}, {trial.payload_class}"
        place += f", {load_label(trial.load)}" if summary.several_loads else ""
        state = "" if trial.valid else " (INVALID, left out)"
        reasons = [trial.error] if trial.error else []
        reasons += trial.warnings
        if reasons or not trial.valid:
            lines.append(f"- {place}{state}: {'; '.join(reasons) or 'no reason was recorded'}")
    return lines or ["None."]


def _place(trial: Trial) -> tuple[object, ...]:
    return trial.round, trial.strategy, trial.payload_class, trial.encoding, load_size(trial.load)


def _meaning(run: Run, summary: Summary) -> list[str]:
    offers = sorted({(*load_size(trial.load), load_label(trial.load)) for trial in run.trials})
    loads = [label for _, _, label in offers]
    windows = sorted({trial.window_s for trial in run.trials})
    seconds = text.listing([f"{window:g} s" for window in windows]) if windows else MISSING
    offered = (
        f"- Offered: {text.listing(loads)}, windows of {seconds}." if loads else "- No load was offered."
    )
    lines = [offered, *MEANING]
    if any(kind == "open" for kind, _, _ in offers):
        lines.insert(1, OPEN)
    if summary.one_round:
        lines.insert(0, "- One round proves nothing: it shows that everything runs.")
    if run.runtime == "process":
        lines.append("- The services ran as local processes, not in containers: there is no image to size.")
    return lines


def _environment(run: Run, _summary: Summary) -> list[str]:
    rows = text.flat(run.environment)
    return (
        table(("what", "value"), [[key, value.replace("|", "\\|")] for key, value in rows], 2)
        if rows
        else [EMPTY]
    )


def _command(run: Run, _summary: Summary) -> list[str]:
    return ["```sh", run.command, "```"]


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
    "Throughput and latency": _throughput,
    "Resources": _resources,
    "Startup": _startup,
    "Image size": _images,
    "Where the time goes": stages,
    "Service against its own bare loop": loops,
    "The driver's ceiling": _ceilings,
    "Warnings": _warnings,
    "What these figures say, and what not": _meaning,
    "Environment": _environment,
    "Made by": _command,
}
