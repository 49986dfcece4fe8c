"""The sections that judge: verdicts at every load, and every comparison."""

from bench.analysis.cases import Case
from bench.analysis.comparisons import ENOUGH_ROUNDS, JUDGED, Compared, compared
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary
from bench.report import text
from bench.report.text import MISSING, table
from bench.report.verdict_words import verdict_word

NOTE = (
    "Ratios to the baseline, paired by round, with 95% intervals. *Bootstrap* cross-checks the interval's "
    "shape, not its width, which at few rounds is some 0.7 of it: where it leans far to one side, one round "
    "carries the result. *Sign-flip p* asks how often flipping rounds at random would give as much; n rounds "
    "cannot give less than 2/2^n. *Adjusted p* is the paired t-test's after Holm's correction over this "
    f"whole table. A verdict takes both at or below 0.05; from fewer than {ENOUGH_ROUNDS} rounds, which "
    "cannot give such a sign-flip p, it takes all rounds on one side and names their number. *Detectable "
    "from*: the smallest detectable difference, which so many rounds find in 80 of 100 runs."
)
# of each load beside the one that stands for the run
BRIEFLY = ("throughput", "p99")
OWN_RATE = (
    "Under a share of capacity each strategy has a rate of its own: its latency there is compared, its "
    "throughput is not."
)


def verdicts(analysis: RunAnalysis) -> list[str]:
    """Every metric at the load that stands for the run, then a line a load; nothing for one round."""
    summary = analysis.summary
    if summary.one_round:
        return []
    judged = [one for one in compared(summary) if one.outcome]
    found = [one for one in judged if one.case in summary.focus]
    others = dict.fromkeys(one.case for one in judged if one.case not in summary.focus)
    return [*_at_focus(summary, found), *(_at_load(summary, case, judged) for case in others)]


def _at_focus(summary: Summary, found: list[Compared]) -> list[str]:
    groups = dict.fromkeys((one.strategy, one.case) for one in found)
    return [
        f"- **{name}** against {summary.baseline}, {summary.payloads_at(case)}: "
        + "; ".join(_clause(one) for one in found if (one.strategy, one.case) == (name, case))
        for name, case in groups
    ]


def _at_load(summary: Summary, case: Case, judged: list[Compared]) -> str:
    """Throughput and p99 of each strategy at a load, and whether it was too much for anybody."""
    wanted = [one for one in judged if one.case == case and one.metric in BRIEFLY]
    clauses = [
        f"**{name}** " + ", ".join(_clause(one) for one in wanted if one.strategy == name)
        for name in dict.fromkeys(one.strategy for one in wanted)
    ]
    rows = [summary.rows[name, case] for name in summary.strategies if (name, case) in summary.rows]
    clauses += [f"overloaded: {text.listing(over)}" for over in [_overloaded(rows)] if over]
    return f"- against {summary.baseline}, {summary.payloads_at(case)}: {'; '.join(clauses) or MISSING}"


def _overloaded(rows: list[Row]) -> list[str]:
    return [
        row.strategy + (f" ({text.spaced(row.refused)} refused)" if row.refused else "")
        for row in rows
        if row.overloaded
    ]


def _clause(one: Compared) -> str:
    return f"{JUDGED[one.metric].label} {text.ratio(one.comparison)} *{verdict_word(one)}*"


def comparisons(analysis: RunAnalysis) -> list[str]:
    """Every comparison of the run; nothing for one round or one strategy."""
    summary = analysis.summary
    found = [] if summary.one_round else compared(summary, bootstrap=True)
    if not found:
        return []
    header = ["strategy", "case", "metric", "verdict", f"ratio to {summary.baseline}", "bootstrap"]
    header += ["sign-flip p", "adjusted p", "detectable from", "rounds"]
    lines = [*table(header, [_cells(summary, one) for one in found], 4), "", NOTE]
    return [*lines, "", OWN_RATE] if any(not one.case.same_for_all for one in found) else lines


def _cells(summary: Summary, one: Compared) -> list[str]:
    found = one.comparison
    effect = found.minimal_detectable_effect
    return [
        one.strategy,
        summary.case_label(one.case),
        JUDGED[one.metric].label,
        verdict_word(one) or MISSING,
        text.ratio(found),
        text.span(found.bootstrap),
        text.p_value(found.p_value),
        text.p_value(one.adjusted_p),
        MISSING if effect is None else f"±{text.percent(effect)}",
        str(found.n),
    ]
