"""The runs of an index in the order in which they are read: what can be compared stands together."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.summary import Summary
from bench.analysis.trends import Entry
from bench.model import Run
from bench.report import text
from bench.report.page.trend_chart import letter

# beyond these a list is told by its length
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A run with what was measured in it, in words; `opens` says whether a new group begins with it."""

    entry: Entry
    letter: str
    measured: str
    opens: bool


def index_rows(runs: Sequence[Entry]) -> list[IndexRow]:
    """The runs by group and by what was measured; of groups, as within each, the newest first."""
    groups: dict[tuple[int, str], list[Entry]] = {}
    for entry in reversed(runs):
        groups.setdefault((entry.group, measured(entry.run, entry.summary)), []).append(entry)
    return [
        IndexRow(entry, letter(group), told, place == 0)
        for (group, told), mine in groups.items()
        for place, entry in enumerate(mine)
    ]


def measured(run: Run, summary: Summary) -> str:
    """The verb, the loads or the objective, and the payloads: `run, 50 clients, seed and small`."""
    words = run.command.split()
    verb = run.options.verb if run.options is not None else words[3] if len(words) > 3 else "run"
    settings = run.environment.settings
    objective = settings.objective if settings else None
    asked = (
        [objective] if summary.searched and isinstance(objective, str) else [c.load for c in summary.cases]
    )
    classes = [case.payload_class for case in summary.cases]
    parts = [_listed(asked, "loads"), _listed(classes, "classes")]
    return ", ".join(part for part in (verb, *parts) if part)


def _listed(names: Sequence[str], noun: str) -> str:
    """The names, each once, or how many there are."""
    once = list(dict.fromkeys(names))
    if len(once) > MOST_NAMED:
        return f"{len(once)} {noun}"
    return text.listing(once) if once else ""


def shows_something(run: Run, summary: Summary) -> bool:
    """Whether a trial of the run is valid, or a search of it ended with an answer."""
    return summary.valid_trials > 0 or any(one.known for one in run.objectives)


def index_lines(rows: Sequence[IndexRow], width: int) -> list[str]:
    """The runs for a terminal: a line for each group, and one for each of its runs below it."""
    lines = []
    for row in rows:
        run, summary = row.entry.run, row.entry.summary
        if row.opens:
            lines.append(f"{row.letter}  {row.measured}")
        trials = f"{summary.valid_trials}" + ("" if summary.searched else f" of {run.planned_trials}")
        lines.append(f"   {run.created[:10]} {run.created[11:16]}  {trials} trials valid  {row.entry.name}")
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]
