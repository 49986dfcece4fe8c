"""The sections that judge: the verdicts at every load, and every comparison."""

from bench.analysis.cases import Case
from bench.analysis.comparisons import ENOUGH_ROUNDS, Compared, compared
from bench.analysis.metrics import METRICS
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary, rows_at
from bench.report import cells, text
from bench.report.document import (
    Block,
    Bullets,
    Column,
    Emphasis,
    Paragraph,
    Span,
    Strong,
    Text,
    case_column,
    name_column,
    paragraph,
    tabulated,
)
from bench.report.verdict_words import verdict_word

NOTE = paragraph(
    "Ratios to the baseline, paired by round, with 95% intervals. ",
    Emphasis("Bootstrap"),
    " cross-checks the interval's shape, not its width, which at few rounds is some 0.7 of it: where it "
    "leans far to one side, one round carries the result. ",
    Emphasis("Sign-flip p"),
    " asks how often flipping rounds at random would give as much; n rounds cannot give less than 2/2^n. ",
    Emphasis("Adjusted p"),
    " is the paired t-test's after Holm's correction over this whole table. A verdict takes both at or "
    f"below 0.05; from fewer than {ENOUGH_ROUNDS} rounds, which cannot give such a sign-flip p, it takes all "
    "rounds on one side and names their number. ",
    Emphasis("Detectable from"),
    ": the smallest detectable difference, which so many rounds find in 80 of 100 runs.",
)
OWN_RATE = paragraph(
    "Under a share of capacity each strategy has a rate of its own: its latency there is compared, its "
    "throughput is not."
)
# of each load beside the one that stands for the run
BRIEFLY = ("throughput", "p99")


def verdicts(analysis: RunAnalysis) -> list[Block]:
    """Every metric at the load that stands for the run, then a line for each load; empty for one round."""
    summary = analysis.summary
    if summary.one_round:
        return []
    judged = [one for one in compared(summary) if one.outcome is not None]
    at_focus = [one for one in judged if one.case in summary.focus]
    others = dict.fromkeys(one.case for one in judged if one.case not in summary.focus)
    items = [*_at_focus(summary, at_focus), *(_at_load(summary, other, judged) for other in others)]
    return [Bullets(tuple(items))] if items else []


def _at_focus(summary: Summary, judged: list[Compared]) -> list[Text]:
    return [
        (
            Strong(strategy),
            f" against {summary.baseline}, {summary.payloads_at(where)}: ",
            *_clauses([one for one in judged if (one.strategy, one.case) == (strategy, where)], "; "),
        )
        for strategy, where in dict.fromkeys((one.strategy, one.case) for one in judged)
    ]


def _at_load(summary: Summary, where: Case, judged: list[Compared]) -> Text:
    """Throughput and p99 of each strategy at a load, and which strategies it overloaded."""
    wanted = [one for one in judged if one.case == where and one.metric in BRIEFLY]
    over = _overloaded(rows_at(summary, [where]))
    spans: list[Span] = []
    for strategy in dict.fromkeys(one.strategy for one in wanted):
        clauses = _clauses([one for one in wanted if one.strategy == strategy], ", ")
        spans += [*(["; "] if spans else []), Strong(strategy), " ", *clauses]
    if over:
        spans += [*(["; "] if spans else []), f"overloaded: {text.listing(over)}"]
    return f"against {summary.baseline}, {summary.payloads_at(where)}: ", *(spans or [text.MISSING])


def _overloaded(rows: list[Row]) -> list[str]:
    return [
        row.strategy + (f" ({text.spaced(row.refused)} refused)" if row.refused else "")
        for row in rows
        if row.overloaded
    ]


def _clauses(judged: list[Compared], between: str) -> list[Span]:
    """Each comparison's ratio and verdict: `requests/s 2.32 times, faster`."""
    spans: list[Span] = []
    for one in judged:
        label = f"{between if spans else ''}{METRICS[one.metric].heading} {text.ratio(one.comparison)} "
        spans += [label, Emphasis(verdict_word(one), cells.tone(one))]
    return spans


def comparisons(analysis: RunAnalysis) -> list[Block]:
    """Every comparison of the run; empty if it has a single round or a single strategy."""
    summary = analysis.summary
    every = [] if summary.one_round else compared(summary, bootstrap=True)
    if not every:
        return []
    fields = [
        (name_column("strategy"), lambda one: cells.words(one.strategy)),
        (case_column("case"), lambda one: cells.words(summary.case_label(one.case))),
        (case_column("metric"), lambda one: cells.words(METRICS[one.metric].heading)),
        (Column("verdict", "text"), cells.verdict),
        (Column(f"ratio to {summary.baseline}"), lambda one: cells.ratio(one.comparison)),
        (Column("bootstrap"), lambda one: cells.span(one.comparison.bootstrap)),
        (Column("sign-flip p"), lambda one: cells.p_value(one.comparison.p_value)),
        (Column("adjusted p"), lambda one: cells.p_value(one.adjusted_p)),
        (Column("detectable from"), lambda one: cells.effect(one.comparison.minimal_detectable_effect)),
        (Column("rounds"), lambda one: cells.count(one.comparison.n)),
    ]
    notes: list[Paragraph] = [NOTE]
    notes += [OWN_RATE] if any(not one.case.same_for_all for one in every) else []
    return [tabulated(every, fields), *notes]
