"""How long a start takes to its first correct answer, with a cold and a warm model cache, and inside."""

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.starts import every_start, middle
from bench.model import Run, Startup
from bench.report import text
from bench.report.text import EMPTY, MISSING, number, table
from bench.statistics import median

NOTE = "Seconds since the container's create call, medians over fresh starts; intervals by order statistics."
INSIDE = "Inside the service, as it times its own phases: medians in seconds."


def startup(analysis: RunAnalysis) -> list[str]:
    """A row a strategy and state of the model cache; below, the phases that the services time themselves."""
    run = analysis.run
    header = ("strategy", "first correct answer, s", "starts", "model cache", "medians of the phases, s")
    rows = [_cells(name, found) for name, found in every_start(run)]
    return [*table(header, rows), "", NOTE, *_inside(run)] if rows else [EMPTY]


def _cells(name: str, startup: Startup | None) -> list[str]:
    if startup is None:
        return [name, MISSING, "0", MISSING, MISSING]
    phases = [
        f"{text.phase_name(phase)} {number(found.centre)}"
        for phase, values in startup.phases.items()
        if (found := median(values)) is not None
    ]
    starts = startup.first_correct_answer_s
    return [
        name,
        text.estimate(median(starts)),
        str(len(starts)),
        startup.model_cache,
        ", ".join(phases) or MISSING,
    ]


def _inside(run: Run) -> list[str]:
    known = [(name, found) for name, found in every_start(run) if found is not None and found.inside]
    if not known:
        return []
    phases = list(dict.fromkeys(phase for _, found in known for phase in found.inside))
    header = ["strategy", "model cache", *map(text.phase_name, phases), "together"]
    rows = []
    for name, found in known:
        lengths = {phase: middle(values) for phase, values in found.inside.items()}
        together = sum(length for length in lengths.values() if length is not None)
        cells = [number(lengths.get(phase)) for phase in phases]
        rows.append([name, found.model_cache, *cells, number(together)])
    return ["", *table(header, rows, 2), "", INSIDE]
