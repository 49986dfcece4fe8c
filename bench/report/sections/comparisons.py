"""The section that judges: every comparison once, what is compared with what, and how sure each is."""

from functools import partial

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
from bench.analysis.metrics import METRICS, metrics_in
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Summary
from bench.report import cells
from bench.report.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Emphasis,
    Field,
    Folded,
    Table,
    Text,
    case_column,
    name_column,
    paragraph,
    tabulated,
)
from bench.report.quality_words import OTHER_QUALITY
from bench.report.verdict_words import MANY, NOT_TOLD_APART, why_not_compared

AGAINST = case_column("against", lead="against")
RATIOS = (
    "Ratios to the baseline or to what a row is against, paired by round, with 95% intervals.",
    " ",
    Emphasis(NOT_TOLD_APART.capitalize()),
    ": the rounds do not show which of the two is more.",
)
UNEQUAL = (
    " Words have a colour where a difference is for the better or the worse: latencies only at equal rates.",
)
NOTE = paragraph(
    Emphasis("Bootstrap"),
    " cross-checks the shape of the interval, not its width, which at few rounds is some 0.7 of the "
    "interval's: if it leans far to one side, one round carries the result. ",
    Emphasis("Sign-flip p"),
    " says how often signs of the rounds that are flipped at random give as much; with n rounds it is at "
    "least 2/2^n. ",
    Emphasis("Adjusted p"),
    " is the paired t-test's after Holm's correction over all comparisons of this run. A verdict takes both "
    f"at or below 0.05; from fewer than {ENOUGH_ROUNDS} rounds, which cannot give such a sign-flip p, it "
    "takes all rounds on one side and names their number. ",
    Emphasis("Detectable change"),
    ": the smallest that so many rounds find in 80 of 100 runs.",
)
OWN_RATE = paragraph(
    "Under a share of capacity each strategy has a rate of its own, so throughput is not compared. Latency "
    f"is compared if both reached the same share within {100 * UTILISATION_ALLOWED:.0f}% of it, by the "
    "capacity that the closed loop of the same rounds showed."
)


def comparisons(analysis: RunAnalysis) -> list[Block]:
    """Every comparison of the run, those with the baseline first; empty for a single round or row."""
    summary = analysis.summary
    if summary.one_round:
        return []
    every, missing = compared(summary, bootstrap=True), not_compared(summary)
    blocks: list[Block] = []
    for relation in TITLES:
        found = [one for one in every if one.relation == relation]
        if found:
            shown = _ratios(summary, relation, found)
            # what is asked first is open; with a single strategy its cases are
            blocks.append(Folded(TITLES[relation], (shown,)) if blocks else shown)
    if missing:
        blocks.append(Bullets(tuple(_not_compared(summary, one) for one in missing)))
    if every:
        many = any(one.outcome == "open among many" for one in every)
        other = (
            ()
            if all(one.same_work for one in every)
            else (f" {OTHER_QUALITY[0].upper()}{OTHER_QUALITY[1:]}.",)
        )
        blocks.append(paragraph(*RATIOS, *((" ", MANY) if many else ()), *other, *UNEQUAL))
        blocks.append(Folded("How sure each comparison is", (tabulated(every, _fields(summary)), NOTE)))
    return [*blocks, *([OWN_RATE] if blocks and any(not case.same_for_all for case in summary.cases) else [])]


TITLES: dict[Relation, str] = {
    "baseline": "Against the baseline",
    "strategies": "Among the other strategies",
    "cases": "Cases of a strategy",
}


def _ratios(summary: Summary, relation: Relation, found: list[Compared]) -> Table:
    """A row for each pair, and in it the ratio and the verdict of each metric."""
    pairs: dict[tuple[object, ...], dict[str, Compared]] = {}
    for one in found:
        pairs.setdefault((one.strategy, one.case, one.base, one.base_case), {})[one.metric] = one
    metrics = [one for one in metrics_in("comparisons") if any(one.name in pair for pair in pairs.values())]
    fields: list[Field[dict[str, Compared]]] = [
        (name_column("strategy"), lambda pair: cells.strategy(summary, _first(pair).strategy)),
        (
            case_column("case"),
            lambda pair: cells.words(_case(summary, _first(pair).case, _first(pair).base_case)),
        ),
    ]
    if relation == "strategies":
        fields.append((AGAINST, lambda pair: cells.strategy(summary, _first(pair).base)))
    to = f" to {summary.baseline}" if relation == "baseline" else ""
    for metric in metrics:
        fields.append((Column(f"{metric.heading}, ratio{to}"), partial(_judged, metric.name)))
    return tabulated(pairs.values(), fields, TITLES[relation])


def _first(pair: dict[str, Compared]) -> Compared:
    return next(iter(pair.values()))


def _judged(metric: str, pair: dict[str, Compared]) -> Cell:
    return cells.judged(pair[metric]) if metric in pair else cells.BLANK


def _case(summary: Summary, case: Case, base: Case) -> str:
    """The case, and what it is against if that is another: `small, 80% against 50% of capacity`."""
    label = summary.case_label(case)
    if case == base:
        return label
    words, others = label.split(" "), summary.case_label(base).split(" ")
    unlike = [place for place, pair in enumerate(zip(words, others, strict=False)) if pair[0] != pair[1]]
    if len(words) == len(others) and len(unlike) == 1:
        (place,) = unlike
        words[place] = f"{words[place].rstrip(',')} against {others[place]}"
        return " ".join(words)
    same = summary.payload_label(case) == summary.payload_label(base)
    return f"{label} against {base.load if same else summary.case_label(base)}"


def _fields(summary: Summary) -> list[Field[Compared]]:
    return [
        (name_column("strategy"), lambda one: cells.strategy(summary, one.strategy)),
        (case_column("case"), lambda one: cells.words(_case(summary, one.case, one.base_case))),
        (AGAINST, lambda one: cells.words("" if one.relation == "cases" else one.base)),
        (case_column("metric"), lambda one: cells.words(METRICS[one.metric].heading)),
        (Column("bootstrap"), lambda one: cells.span(one.comparison.bootstrap)),
        (Column("sign-flip p"), lambda one: cells.p_value(one.comparison.p_value)),
        (Column("adjusted p"), lambda one: cells.p_value(one.adjusted_p)),
        (Column("detectable change"), lambda one: cells.effect(one.comparison.minimal_detectable_effect)),
        (Column("rounds"), lambda one: cells.count(one.comparison.n)),
    ]


def _not_compared(summary: Summary, one: NotCompared) -> Text:
    """`torch and onnx, small, 90% of capacity: not compared: 86% and 75% of capacity`."""
    pair = one.pairing
    where = _case(summary, pair.case, pair.base_case)
    who = f"{pair.base} and {pair.strategy}, {where}"
    if pair.relation == "cases":
        who = f"{pair.strategy}, {where}"
    return f"{who}: {why_not_compared(one)}", "."
