"""A run's report as a value, from which every text format is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.run_analysis import RunAnalysis
from bench.report.choice_sentence import choice_sentence
from bench.report.document import Section
from bench.report.sections import sections
from bench.report.sentence import checked, machine_line, sentence


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to say of a run, in the order in which it is said.

    `choice` is what it says to somebody who must choose, `sentence` the same with figures and intervals, and
    `checked` how many answers and trials count. `extra` holds sections of somebody else's that stand on top
    of the page. `pictures` are paths relative to `folder`, which is the run's.
    """

    analysis: RunAnalysis
    choice: str
    sentence: str
    checked: str
    machine: str
    sections: tuple[Section, ...]
    extra: tuple[Section, ...]
    folder: Path
    pictures: tuple[Path, ...]


def report_of(
    analysis: RunAnalysis, folder: Path = Path(), pictures: Sequence[Path] = (), extra: Sequence[Section] = ()
) -> Report:
    """The report of a run."""
    return Report(
        analysis=analysis,
        choice=choice_sentence(analysis.run, analysis.summary),
        sentence=sentence(analysis.run, analysis.summary),
        checked=checked(analysis.run, analysis.summary),
        machine=machine_line(analysis.run),
        sections=sections(analysis),
        extra=tuple(extra),
        folder=folder,
        pictures=tuple(pictures),
    )
