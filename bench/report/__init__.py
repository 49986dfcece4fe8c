"""What a run says: the sentence, the tables, the plots and the README's part, computed from its folder."""

from pathlib import Path

from bench.model import Run

__all__ = ["aa_verdict", "terminal_summary", "write_report"]


def write_report(folder: Path) -> list[Path]:
    """Write report.md and the plots into a run's folder and return the files that were written.

    Raises UsageError where the folder holds no run.
    """
    # matplotlib and pyarrow take a second to import, which `bench --help` must not pay
    from bench.report import markdown, plots
    from bench.report.material import gather
    from bench.run_file import read_run

    found = gather(read_run(folder), folder)
    pictures = plots.write_plots(found, folder)
    written = []
    for name, render in markdown.FORMATS.items():
        path = folder / name
        path.write_text(render(found, [p.relative_to(folder) for p in pictures]), encoding="utf-8")
        written.append(path)
    return written + pictures


def terminal_summary(run: Run) -> str:
    """The sentence and a table in plain text, at most 100 columns wide."""
    from bench.report import terminal

    return terminal.render(run)


def aa_verdict(run: Run) -> str:
    """What a strategy measured against itself says of this machine, at most 100 columns wide.

    Raises UsageError where the run measured no strategy against itself.
    """
    from bench.report import aa

    return aa.aa_verdict(run)
