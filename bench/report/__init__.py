"""What a run says: the sentence, the tables, the plots and the README's part, computed from its folder."""

from collections.abc import Sequence
from pathlib import Path

from bench.model import Run
from bench.report.document import Section

__all__ = ["aa_verdict", "terminal_summary", "too_few_rounds", "write_report"]


def write_report(folder: Path, extra: Sequence[Section] = (), *, run: Run | None = None) -> list[Path]:
    """Write report.md, report.html and the plots into a run's folder and return the files that were written.

    `extra` holds sections that go on top of report.html. `run` is the folder's own, with another baseline for
    instance. Raises UsageError if the folder holds no run.
    """
    # matplotlib and pyarrow take a second to import, which `bench --help` must not pay
    from bench.analysis.run_analysis import analyse
    from bench.report import plots
    from bench.report.formats import WRITTEN
    from bench.report.report import report_of
    from bench.run_file import read_run

    analysis = analyse(run or read_run(folder), folder)
    pictures = plots.write_plots(analysis, folder)
    report = report_of(analysis, folder, [picture.relative_to(folder) for picture in pictures], extra)
    written = []
    for name, render in WRITTEN.items():
        path = folder / name
        path.write_text(render(report), encoding="utf-8")
        written.append(path)
    return written + pictures


def terminal_summary(run: Run, width: int | None = None) -> str:
    """A table, the warnings that matter and whom to choose, in lines of at most `width` columns, 60 to 200.

    Without a width it is the terminal's.
    """
    from bench.report import run_screen

    return run_screen.render(run, width)


def aa_verdict(run: Run) -> str:
    """What a strategy measured against itself says of this machine, at most 100 columns wide.

    Raises UsageError if the run measured no strategy against itself.
    """
    from bench.report.sections.against_itself import aa_verdict

    return aa_verdict(run)


def too_few_rounds(rounds: int) -> str | None:
    """What so many rounds of a strategy against itself cannot conclude; None if they are enough."""
    from bench.report.sections.against_itself import too_few_rounds

    return too_few_rounds(rounds)
