"""The sections that judge: the verdicts at every load, and every comparison."""

from bench.analysis.cases import Case
from bench.analysis.comparisons import (
    ENOUGH_ROUNDS,
    UTILISATION_ALLOWED,
    Compared,
    NotCompared,
    Relation,
    compared,
    not_compared,
)
from bench.analysis.metrics import METRICS
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary, rows_at
from bench.report import cells, text
from bench.report.document import (
    Block,
    Bullets,
    Column,
    Emphasis,
    Field,
    Span,
    Strong,
    Text,
    case_column,
    name_column,
    paragraph,
    tabulated,
)
from bench.report.verdict_words import verdict_word, why_not_compared

NOTE = paragraph(
    "Ratios paired by round, with 95% intervals. ",
    Emphasis("Bootstrap"),
    " cross-checks the interval's shape, not its width, which at few rounds is some 0.7 of it: where it "
    "leans far to one side, one round carries the result. ",
    Emphasis("Sign-flip p"),
    " asks how often flipping rounds at random would give as much; n rounds cannot give less than 2/2^n. ",
    Emphasis("Adjusted p"),
    " is the paired t-test's after Holm's correction over all comparisons of this run. A verdict takes both "
    f"at or below 0.05; from fewer than {ENOUGH_ROUNDS} rounds, which cannot give such a sign-flip p, it "
    "takes all rounds on one side and names their number. ",
    Emphasis("Detectable change"),
    ": the smallest that so many rounds find in 80 of 100 runs.",
)
OWN_RATE = paragraph(
    "Under a share of capacity each strategy has a rate of its own: its latency there is compared, its "
    f"throughput is not, and only if both reached the same share within {100 * UTILISATION_ALLOWED:.0f}% "
    "of it, by the capacity that the closed loop of the same rounds showed."
)
# of each load beside the one that stands for the run
BRIEFLY = ("throughput", "p99")


def verdicts(analysis: RunAnalysis) -> list[Block]:
    """Every metric at the load that stands for the run, then a line for each load; empty for one round."""
    summary = analysis.summary
    if summary.one_round:
        return []
    judged = [one for one in compared(summary) if one.outcome is not None]
    at_focus = [one for one in judged if one.relation != "cases" and one.case in summary.focus]
    missing = [one for one in not_compared(summary) if one.pairing.relation == "baseline"]
    known = [one for one in judged if one.relation == "baseline"]
    elsewhere = [*(one.case for one in known), *(one.pairing.case for one in missing)]
    others = [case for case in summary.cases if case in elsewhere and case not in summary.focus]
    items = [*_at_focus(summary, at_focus), *(_at_load(summary, case, known, missing) for case in others)]
    if len(summary.strategies) == 1:
        items += _of_cases(summary, [one for one in judged if one.relation == "cases"])
    return [Bullets(tuple(items))] if items else []


def _at_focus(summary: Summary, judged: list[Compared]) -> list[Text]:
    return [
        (
            Strong(strategy),
            f" against {base}, {summary.payloads_at(where)}: ",
            *_clauses(
                [one for one in judged if (one.strategy, one.base, one.case) == (strategy, base, where)], "; "
            ),
        )
        for strategy, base, where in dict.fromkeys((one.strategy, one.base, one.case) for one in judged)
    ]


def _at_load(summary: Summary, where: Case, judged: list[Compared], missing: list[NotCompared]) -> Text:
    """Throughput and p99 of each strategy at a load, whom it overloaded, and who is not compared."""
    wanted = [one for one in judged if one.case == where and one.metric in BRIEFLY]
    over = _overloaded(rows_at(summary, [where]))
    spans: list[Span] = []
    for strategy in dict.fromkeys(one.strategy for one in wanted):
        clauses = _clauses([one for one in wanted if one.strategy == strategy], ", ")
        spans += [*(["; "] if spans else []), Strong(strategy), " ", *clauses]
    for one in missing:
        if one.pairing.case == where and one.why != "overloaded":
            told = f" {why_not_compared(one)}"
            spans += [*(["; "] if spans else []), Strong(one.pairing.strategy), told]
    if over:
        spans += [*(["; "] if spans else []), f"not compared, as overloaded: {text.listing(over)}"]
    return f"against {summary.baseline}, {summary.payloads_at(where)}: ", *(spans or [text.MISSING])


def _of_cases(summary: Summary, judged: list[Compared]) -> list[Text]:
    """Throughput and p99 of each strategy in a case against another case of its own."""
    pairs = dict.fromkeys((one.strategy, one.case, one.base_case) for one in judged)
    lines: list[Text] = []
    for pair in pairs:
        mine = [one for one in judged if (one.strategy, one.case, one.base_case) == pair]
        name, case, base = pair
        what = f", {summary.case_label(case)} against {summary.case_label(base)}: "
        if brief := [one for one in mine if one.metric in BRIEFLY]:
            lines.append((Strong(name), what, *_clauses(brief, ", ")))
    return lines


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
    """Every comparison of the run, those with the baseline first; empty for a single round or row."""
    summary = analysis.summary
    if summary.one_round:
        return []
    every, missing = compared(summary, bootstrap=True), not_compared(summary)
    blocks: list[Block] = []
    relations = [one for one in TITLES if any(found.relation == one for found in every)]
    for relation in relations:
        title = TITLES[relation].format(summary.baseline)
        blocks += [paragraph(Strong(title))] if len(relations) > 1 else []
        found = [one for one in every if one.relation == relation]
        caption = title if len(relations) > 1 else ""
        blocks.append(tabulated(found, _fields(summary, relation), caption))
    if missing:
        blocks.append(Bullets(tuple(_not_compared(summary, one) for one in missing)))
    if blocks:
        blocks += [NOTE] if every else []
        blocks += [OWN_RATE] if any(not case.same_for_all for case in summary.cases) else []
    return blocks


TITLES: dict[Relation, str] = {
    "baseline": "Against {}",
    "strategies": "Among the other strategies",
    "cases": "Cases of a strategy",
}


def _fields(summary: Summary, relation: Relation) -> list[Field[Compared]]:
    against: list[Field[Compared]] = {
        "baseline": [],
        "strategies": [(case_column("against"), lambda one: cells.words(one.base))],
        "cases": [(case_column("against"), lambda one: cells.words(summary.case_label(one.base_case)))],
    }[relation]
    ratio = f"ratio to {summary.baseline}" if relation == "baseline" else "ratio"
    return [
        (name_column("strategy"), lambda one: cells.words(one.strategy)),
        (case_column("case"), lambda one: cells.words(summary.case_label(one.case))),
        *against,
        (case_column("metric"), lambda one: cells.words(METRICS[one.metric].heading)),
        (Column("verdict", "text"), cells.verdict),
        (Column(ratio), lambda one: cells.ratio(one.comparison)),
        (Column("bootstrap"), lambda one: cells.span(one.comparison.bootstrap)),
        (Column("sign-flip p"), lambda one: cells.p_value(one.comparison.p_value)),
        (Column("adjusted p"), lambda one: cells.p_value(one.adjusted_p)),
        (Column("detectable change"), lambda one: cells.effect(one.comparison.minimal_detectable_effect)),
        (Column("rounds"), lambda one: cells.count(one.comparison.n)),
    ]


def _not_compared(summary: Summary, one: NotCompared) -> Text:
    """`torch and onnx, small, 90% of capacity: not compared: 86% and 75% of capacity`."""
    pair = one.pairing
    where = summary.case_label(pair.case)
    who = f"{pair.base} and {pair.strategy}, {where}"
    if pair.relation == "cases":
        who = f"{pair.strategy}, {summary.case_label(pair.base_case)} and {where}"
    return f"{who}: {why_not_compared(one)}", "."
