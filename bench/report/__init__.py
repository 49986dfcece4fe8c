"""What a run says: the sentence, the tables, the plots and the README's part, computed from its folder."""

from pathlib import Path

from bench.model import Run

__all__ = ["terminal_summary", "write_report"]


def write_report(folder: Path) -> list[Path]:
    """Write report.md and the plots into a run's folder and return the files that were written.

    Raises UsageError where the folder holds no run.
    """
    # matplotlib and pyarrow take a second to import, which `bench --help` must not pay
    from bench.report import markdown, plots
    from bench.run_file import read_run

    run = read_run(folder)
    pictures = plots.write_plots(run, folder)
    written = []
    for name, render in markdown.FORMATS.items():
        path = folder / name
        path.write_text(render(run, [p.relative_to(folder) for p in pictures]), encoding="utf-8")
        written.append(path)
    return written + pictures


def terminal_summary(run: Run) -> str:
    """The sentence and a table in plain text, at most 100 columns wide."""
    from bench.report import terminal

    return terminal.render(run)
