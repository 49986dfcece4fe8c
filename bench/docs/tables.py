"""What documents quote of a committed run: the README's block of results, and two tables."""

from dataclasses import replace

from bench.analysis.comparisons import Compared, compared
from bench.analysis.metrics import METRICS, metrics_in
from bench.analysis.starts import startup_s
from bench.analysis.summary import Row, Summary, rows_at, summarise
from bench.errors import UsageError
from bench.model import Run
from bench.report import cells, text
from bench.report.document import (
    Cell,
    Column,
    Paragraph,
    Strong,
    Table,
    case_column,
    figures,
    name_column,
    paragraph,
    table,
    tabulated,
)
from bench.report.sentence import machine_line, sentence
from bench.report.writers import markdown

PICTURES = ("throughput", "latency", "pareto")


def results_block(run: Run, link: str, command: str) -> str:
    """The sentence, two tables, the machine, the pictures below `link` and the commands that made it all."""
    summary = summarise(run)
    spread = "One round: no intervals." if summary.one_round else "In brackets: 95% intervals over rounds."
    blocks: list[Paragraph | Table] = [
        paragraph(Strong(sentence(run, summary))),
        _results(summary),
        _strategies(run),
        paragraph(f"Measured {machine_line(run)}. {spread}"),
    ]
    pictures = [*PICTURES, "load"] if summary.several_loads else PICTURES
    lines = [*markdown.blocks(blocks), "", *(f"![{name}]({link}/plots/{name}.png)" for name in pictures)]
    lines += ["", f"From [{link}]({link}/report.md), made by `{run.command}` and spliced in by `{command}`."]
    return "\n".join(lines) + "\n"


def _results(summary: Summary) -> Table:
    """A row for each case and strategy."""
    rows = rows_at(summary, summary.cases)
    fields = [
        (case_column("case"), lambda row: cells.words(summary.case_label(row.case))),
        (name_column("strategy"), lambda row: cells.words(row.strategy)),
        cells.metric_field(METRICS["throughput"]),
        (Column(f"ratio to {summary.baseline or text.MISSING}"), lambda row: _to_baseline(summary, row)),
        *(cells.metric_field(METRICS[name]) for name in ("p50", "p99", "cpu")),
        (Column("peak memory"), _memory),
        (Column("wrong answers"), lambda row: cells.count(row.wrong_answers)),
    ]
    return tabulated(rows, fields)


def _strategies(run: Run) -> Table:
    """A row for each strategy: what does not depend on the load."""
    columns = [name_column("strategy"), Column("what it is", "text")]
    columns += figures("first correct answer, s", "image, compressed", "image, unpacked")
    rows = []
    for name, result in run.strategies.items():
        image = result.image
        sizes = (image.compressed_bytes, image.unpacked_bytes) if image else (None, None)
        start = cells.estimate(startup_s(result))
        rows.append([cells.words(name), cells.words(result.title), start, *map(cells.mebibytes, sizes)])
    return table(columns, rows)


def _to_baseline(summary: Summary, row: Row) -> Cell:
    return Cell("1") if row.strategy == summary.baseline else cells.ratio(row.to_baseline)


def _memory(row: Row) -> Cell:
    found = row.estimates["memory"]
    return cells.mebibytes(found.centre if found else None)


def ratios(run: Run, strategy: str) -> str:
    """The strategy against every other one of the run, paired by round: a row for each case and rival.

    Raises UsageError if the run does not have the strategy.
    """
    summary = summarise(run)
    if strategy not in summary.strategies:
        raise UsageError(f"{strategy} is not in that run: it has {', '.join(summary.strategies)}")
    found = {
        (case, rival): {one.metric: one for one in compared(summary, {strategy: rival}) if one.case == case}
        for case in summary.cases
        for rival in summary.strategies
        if rival != strategy
    }
    columns = [case_column("load"), case_column("payloads"), name_column(f"{strategy} against")]
    columns += figures(*(metric.heading for metric in metrics_in("comparisons")), "rounds")
    rows = [
        [*map(cells.words, (case.load, summary.payload_label(case), rival)), *_ratio_cells(by_metric)]
        for (case, rival), by_metric in found.items()
    ]
    return _written(table(columns, rows))


def lateness(run: Run) -> str:
    """The p50 and p99 of each strategy in ms from the instant a request was due: a row for each open load.

    If a load was too much for a strategy, its cells say so, and how many requests it refused.

    Raises UsageError if the run has no open load.
    """
    summary = summarise(run)
    cases = [case for case in summary.cases if case.at_due_times]
    if not cases:
        raise UsageError("that run has no open load: name one made with --rate or --load")
    pairs = [(name, quantile) for name in summary.strategies for quantile in ("p50", "p99")]
    columns = [name_column("offered"), case_column("payloads")]
    columns += figures(*(f"{name} {METRICS[quantile].heading}" for name, quantile in pairs))
    rows = [
        [
            cells.words(case.load),
            cells.words(summary.payload_label(case)),
            *(_latency(summary.rows.get((name, case)), quantile) for name, quantile in pairs),
        ]
        for case in cases
    ]
    return _written(table(columns, rows))


def _written(found: Table) -> str:
    return "\n".join(markdown.table(found)) + "\n"


def _ratio_cells(by_metric: dict[str, Compared]) -> list[Cell]:
    """A ratio for each metric, with the number of its rounds if others have more; last, that number."""
    most = max((one.comparison.n for one in by_metric.values()), default=0)
    return [*(_ratio(by_metric.get(one.name), most) for one in metrics_in("comparisons")), cells.count(most)]


def _ratio(one: Compared | None, most: int) -> Cell:
    if one is None:
        return cells.MISSING
    few = f" in {text.plural(one.comparison.n, 'round')}" if one.comparison.n < most else ""
    return cells.ratio(one.comparison, few)


def _latency(row: Row | None, quantile: str) -> Cell:
    if row is None:
        return cells.MISSING
    refused = f": {text.spaced(row.refused)} refused" if row.refused else ""
    found = cells.estimate(row.estimates[quantile])
    return replace(found, after=f", overloaded{refused}") if row.overloaded else found
