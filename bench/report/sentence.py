"""The sentence on top of a report: who answers more, by how much, how late, and whether it was right.

Below it stands a line on when, on what and how the run was made.
"""

from bench.analysis.cases import Case
from bench.analysis.comparisons import Compared, compared, not_compared, to_baseline
from bench.analysis.objectives import share_held
from bench.analysis.summary import Row, Summary, equal_rates, rows_at
from bench.model import Run, SloResult, objective_label
from bench.report import text
from bench.report.payload_words import payload_words, searched_words
from bench.report.quality_words import mark, named, on_held_out
from bench.report.unchecked_sentence import unchecked_sentence

ONE_ROUND = "One round: it proves nothing."
QUICK = "A quick run: short windows."
# beyond these a sentence is a worse table
MOST_OTHERS = 2
MOST_CASES = 2


def sentence(run: Run, summary: Summary) -> str:
    """What the run found, in a few sentences; a run without a valid trial claims nothing."""
    if not run.trials and not run.objectives:
        return "No trial was made: there is nothing to report."
    if summary.valid_trials == 0 and not (summary.searched and run.objectives):
        trials = text.plural(len(run.trials), "trial")
        unchecked = unchecked_sentence(run)
        told = f"Invalid: none of {trials} may be believed. {_answers(run, summary)}"
        return f"{told} {unchecked}" if unchecked else told
    parts = [unchecked_sentence(run)]
    parts += [ONE_ROUND] if summary.one_round else []
    parts += [QUICK] if run.quick else []
    parts += [found(run, summary), checked(run, summary)]
    return " ".join(part for part in parts if part)


def found(run: Run, summary: Summary) -> str:
    """How the strategies compare, or the cases of a single strategy, or which rates held an objective."""
    parts = (
        [_held(run, summary)]
        if summary.searched
        else [_comparison(run, summary), _below_capacity(run, summary)]
    )
    return " ".join(part for part in parts if part)


def checked(run: Run, summary: Summary) -> str:
    """How many answers were checked and were wrong, and which trials are left out or were not made."""
    answers = [_answers(run, summary)] if summary.requests else []
    return " ".join([*answers, *on_held_out(summary), *_gaps(summary)])


def machine_line(run: Run) -> str:
    """When, on what and how the run was made, in one line."""
    environment = run.environment
    memory = environment.memory_bytes
    parts = [
        f"{run.created[:10]} on {environment.cpu_model or 'an unnamed CPU'}",
        f"{environment.cores or text.MISSING} cores",
        f"{memory / 1024**3:.0f} GiB of memory" if isinstance(memory, int) else "",
        f"service on core {environment.service_cores}" if environment.service_cores else "",
        f"driver on core {environment.driver_cores}" if environment.driver_cores else "",
        f"runtime {run.runtime}",
    ]
    return ", ".join(part for part in parts if part)


def _held(run: Run, summary: Summary) -> str:
    """For each objective and payloads, up to which rate each strategy held it, the highest first."""
    if not run.objectives:
        return "The search did not end: which rates hold the objective is not known."
    groups: dict[tuple[str, str, str], list[SloResult]] = {}
    for one in run.objectives:
        what = objective_label(one.quantile, one.bound_ms)
        groups.setdefault((what, one.payload_class, one.encoding), []).append(one)
    return " ".join(
        f"{what} with {searched_words(run, summary, found[:1])}: {_rates_that_held(summary, found)}."
        for (what, *_), found in groups.items()
    )


def _rates_that_held(summary: Summary, found: list[SloResult]) -> str:
    """`onnx held up to 137 requests/s (goodput 136, 62% of its capacity); torch at no rate (...)`."""
    clauses = []
    for one in sorted(found, key=lambda one: -(one.rate_per_s or 0.0)):
        if one.rate_per_s is None:
            state = "held at no rate" if one.known else "is not known to hold at a rate"
            clauses.append(f"{named(summary, one.strategy)} {state} ({one.why_none or 'never held'})")
            continue
        share = share_held(one)
        of_capacity = f", {text.percent(share)} of its capacity" if share is not None else ""
        goodput = f"goodput {text.number(one.goodput_rps)}{of_capacity}"
        rate = f"{text.number(one.rate_per_s)} requests/s"
        clauses.append(f"{named(summary, one.strategy)} held up to {rate} ({goodput})")
    return "; ".join(clauses)


def _comparison(run: Run, summary: Summary) -> str:
    """The strategy with the highest ratio, with its p99, then the ratios of the others.

    What does not promise the same as the baseline comes after all that do.
    """
    compared = _compared(summary)
    if summary.focus and summary.focus[0].at_due_times:
        return _highest_taken(run, summary)
    if not compared or summary.baseline is None:
        return _between_others(run, summary) or _between_cases(run, summary)
    base = summary.baseline
    leader, *others = sorted(
        compared, key=lambda name: (not summary.same_work(name, base), -_best_ratio(compared[name]))
    )
    others = others if len(others) <= MOST_OTHERS else []
    at = f"At {summary.focus[0].load}, " if summary.several_loads else ""
    first, *rest = compared[leader]
    told = [_ratio(run, summary, first, _requests_of(summary, leader, base))]
    told += [_ratio(run, summary, row) for row in rest]
    first_name = named(summary, leader)
    clauses = [f"{at}{first_name} answers {text.listing(told)}{_tail_latency(run, summary, leader)}"]
    for name in others:
        clauses.append(
            f"{named(summary, name)} answers "
            f"{text.listing([_ratio(run, summary, row) for row in compared[name]])}"
        )
    return "; ".join(clauses) + "."


def _between_others(run: Run, summary: Summary) -> str:
    """How strategies compare of which none is the baseline, which has no figure; empty if none do."""
    family = [one for one in compared(summary) if one.relation == "strategies" and one.case in summary.focus]
    found = [one for one in family if one.metric == "throughput"]
    pairs = list(dict.fromkeys((one.strategy, one.base) for one in found))[: MOST_OTHERS + 1]
    clauses = [
        f"{named(summary, name)} answers {text.listing(_others_ratios(run, summary, found, name, base))}"
        for name, base in pairs
    ]
    lacking = f"{summary.baseline}, the baseline, has no figure to compare with"
    return f"{'; '.join([lacking, *clauses])}." if clauses else ""


def _others_ratios(run: Run, summary: Summary, found: list[Compared], name: str, base: str) -> list[str]:
    """`2.31 times the requests of torch per core with small payloads`, of the first cases."""
    mine = [one for one in found if (one.strategy, one.base) == (name, base)][:MOST_CASES]
    return [
        f"{text.ratio(one.comparison)}{mark(summary, name, base)}"
        f"{_requests_of(summary, name, base) if place == 0 else ''} "
        f"{_payloads(run, summary, one.case)}"
        f"{'' if one.differs or summary.one_round else _undecided(one)}"
        for place, one in enumerate(mine)
    ]


def _between_cases(run: Run, summary: Summary) -> str:
    """How the cases of a strategy compare, if strategies do not; else why there is nothing to say.

    Classes of requests are no cases to choose from: what the strategy answers of each is said.
    """
    alone = _alone(run, summary)
    if alone and len({(case.encoding, case.load) for case in summary.cases}) == 1:
        return alone
    family = [one for one in compared(summary) if one.relation == "cases"]
    found = [one for one in family if one.metric == "throughput"] or [
        one for one in family if one.metric == "p99"
    ]
    told = [_case_ratio(summary, one) for one in found[:MOST_CASES]]
    if told:
        return "; ".join(told) + "."
    known = [
        row.strategy for row in summary.rows.values() if row.estimates["p50"] or row.estimates["throughput"]
    ]
    if any(known.count(name) > 1 for name in known):
        return "No two figures could be compared: the sections below say what was measured."
    return "There is nothing to compare: fewer than two strategies have valid trials in one round."


def _alone(run: Run, summary: Summary) -> str:
    """What the only strategy of the run answers; empty if there are others, or if it has no figure."""
    names = {row.strategy for row in summary.rows.values()}
    rates = [
        f"{text.number(rate.centre)} requests/s {_payloads(run, summary, row.case)}{_own_tail(row)}"
        for row in rows_at(summary, summary.focus)
        if (rate := row.estimates["throughput"]) is not None
    ]
    if len(names) != 1 or not rates:
        return ""
    told = f"{named(summary, names.pop())} answers {text.listing(rates[:MOST_CASES])}"
    return f"{told}; no other strategy was measured."


def _own_tail(row: Row) -> str:
    p99 = row.estimates["p99"]
    return f" (p99 {text.number(p99.centre)} ms)" if p99 else ""


def _case_ratio(summary: Summary, one: Compared) -> str:
    """`onnx at 8 clients answers 2.92 times the requests of 1 client`."""
    rates = one.metric == "throughput"
    first = f"{named(summary, one.strategy)} at {summary.case_label(one.case)}"
    first += " answers" if rates else " has a p99 of"
    last = f"{'the requests of' if rates else 'that of'} {summary.case_label(one.base_case)}"
    said = "" if one.differs or summary.one_round else _undecided(one)
    return f"{first} {text.ratio(one.comparison)} {last}{said}"


def _undecided(one: Compared) -> str:
    return f" ({'one round only' if one.comparison.low is None else 'no difference shown'})"


def _highest_taken(run: Run, summary: Summary) -> str:
    """The p99 of each strategy at the highest rate that overloaded none of them, else at the lowest."""
    case = summary.focus[0]
    offered = [one for one in _open_cases(summary) if one.kind == case.kind]
    told = _tails(run, summary, case) or f"At {case.load} there is no p99: too few right answers"
    above = [
        row for one in offered if one.size > case.size for row in rows_at(summary, [one]) if row.overloaded
    ]
    over = text.listing(list(dict.fromkeys(row.strategy for row in above))) if above else ""
    return f"{told}; higher loads overloaded {over}." if over else f"{told}."


def _below_capacity(run: Run, summary: Summary) -> str:
    """Beside a closed loop: the p99 of each strategy at the highest rate that was the same for all.

    Without such rates it is at the middle share of their own capacities, of those that all took.
    """
    if not summary.focus or summary.focus[0].at_due_times:
        return ""
    first = summary.focus[0]
    case = equal_rates(summary).get((first.payload_class, first.encoding))
    taken = _taken(summary, _open_cases(summary))
    pattern = min((one.arrivals_place for one in taken), default=0)
    shares = sorted((one for one in taken if one.arrivals_place == pattern), key=_size)
    case = case or (shares[len(shares) // 2] if shares else None)
    told = _tails(run, summary, case) if case else ""
    return f"{told}." if told else ""


def _open_cases(summary: Summary) -> list[Case]:
    """The open loads of the payloads that the sentence is about first."""
    first = summary.focus[0]
    return [
        case
        for case in summary.cases
        if case.at_due_times and (case.payload_class, case.encoding) == (first.payload_class, first.encoding)
    ]


def _taken(summary: Summary, cases: list[Case]) -> list[Case]:
    return [case for case in cases if not any(row.overloaded for row in rows_at(summary, [case]))]


def _size(case: Case) -> tuple[float, int]:
    return case.size, -case.arrivals_place


def _tails(run: Run, summary: Summary, case: Case) -> str:
    """Each strategy's p99 at a load, the least first, with its rate if that is its own; else empty."""
    known = [
        (p99.centre, row) for row in rows_at(summary, [case]) if (p99 := row.estimates["p99"]) is not None
    ]
    ordered = [row for _, row in sorted(known, key=lambda one: one[0])]
    tails = [
        f"{named(summary, row.strategy)} {text.number(p99.centre)} ms{_at_its_rate(row)}{_refused(row)}"
        f"{_not_apart(summary, row, ordered[0])}"
        for row in ordered
        if (p99 := row.estimates["p99"]) is not None
    ]
    if not tails:
        return ""
    return f"At {case.load} {_payloads(run, summary, case)}, p99: {', '.join(tails)}{_unequal(summary, case)}"


def _at_its_rate(row: Row) -> str:
    """The strategy's own rate, if it has one, and what share of its capacity that is, if it is known."""
    if row.case.same_for_all:
        return ""
    busy = f" ({100 * row.utilisation.centre:.0f}% busy)" if row.utilisation else ""
    return f" at its {text.number(row.offered_rps)} requests/s{busy}"


def _not_apart(summary: Summary, row: Row, least: Row) -> str:
    """That a p99 is not told apart from the least, whatever their order is."""
    both = {row.strategy, least.strategy}
    known = [
        one
        for one in ([] if row is least or summary.one_round else compared(summary))
        if one.metric == "p99" and one.case == one.base_case == row.case and {one.strategy, one.base} == both
    ]
    return f" (not told apart from {least.strategy})" if any(not one.differs for one in known) else ""


def _unequal(summary: Summary, case: Case) -> str:
    """Who is not compared at a load, since they were not equally busy."""
    pairs = [one.pairing for one in not_compared(summary) if one.why == "utilisation"]
    names = [
        name for pair in pairs if pair.case == pair.base_case == case for name in (pair.base, pair.strategy)
    ]
    who = list(dict.fromkeys(names))
    return f"; {text.listing(who)} were not equally busy, and are not compared" if who else ""


def _refused(row: Row) -> str:
    return f" ({text.spaced(row.refused)} refused)" if row.refused else ""


def _compared(summary: Summary) -> dict[str, list[Row]]:
    """Each strategy other than the baseline with its rows that have a ratio, in the order of the cases."""
    found: dict[str, list[Row]] = {}
    for name in summary.strategies:
        rows = [summary.rows[name, case] for case in summary.focus if (name, case) in summary.rows]
        rows = [row for row in rows if row.to_baseline is not None]
        if rows and name != summary.baseline:
            found[name] = rows[:MOST_CASES]
    return found


def _best_ratio(rows: list[Row]) -> float:
    return max(row.to_baseline.ratio for row in rows if row.to_baseline is not None)


def _requests_of(summary: Summary, name: str, base: str) -> str:
    """Whose requests a ratio is of: per core, unless one of both ran already, on who knows how many."""
    alike = summary.attached.isdisjoint((name, base))
    return f" the requests of {named(summary, base)}{' per core' if alike else ''}"


def _ratio(run: Run, summary: Summary, row: Row, of: str = "") -> str:
    """The ratio, of what, with which payloads, and whether it shows a difference."""
    comparison = row.to_baseline
    marked = f"{text.ratio(comparison)}{mark(summary, row.strategy, summary.baseline)}"
    told = f"{marked}{of} {_payloads(run, summary, row.case)}"
    if comparison is None or summary.one_round or _differs(summary, row):
        return told
    return f"{told} ({'one round only' if comparison.low is None else 'no difference shown'})"


def _differs(summary: Summary, row: Row) -> bool:
    """Whether the verdict is that throughput differs: the sentence must not say more than the table."""
    wanted = (row.strategy, row.case, "throughput")
    known = to_baseline(compared(summary))
    return any(one.differs for one in known if (one.strategy, one.case, one.metric) == wanted)


def _payloads(run: Run, summary: Summary, case: Case) -> str:
    return f"with {payload_words(run, summary, [case])}"


def _tail_latency(run: Run, summary: Summary, leader: str) -> str:
    """The p99 of leader and baseline in the first case in which both have a p99; else empty."""
    for case in summary.focus:
        ours = summary.rows.get((leader, case))
        theirs = summary.rows.get((summary.baseline or "", case))
        if ours is None or theirs is None:
            continue
        left, right = ours.estimates["p99"], theirs.estimates["p99"]
        if left is not None and right is not None:
            both = f"{text.number(left.centre)} ms against {text.number(right.centre)} ms"
            where = f" {_payloads(run, summary, case)}" if len(summary.focus) > 1 else ""
            return f", and its p99 is {both}{where}"
    return ""


def _answers(run: Run, summary: Summary) -> str:
    some = "Answers were checked where it is known what is right"
    every = some if summary.unchecked else "Every answer was checked"
    checked = f"{every}: {text.spaced(summary.wrong_answers)} wrong"
    failed = f", {text.plural(summary.errors, 'request')} failed" if summary.errors else ""
    refused = [row for row in summary.rows.values() if row.refused]
    count = text.plural(sum(row.refused or 0 for row in refused), "request")
    names = list(dict.fromkeys(row.strategy for row in refused))
    turned_away = f", {count} refused by {text.listing(names)}" if names else ""
    right = f" ({text.right_answers(run)})"
    return f"{checked} of {text.spaced(summary.requests)}{right}{failed}{turned_away}."


def _gaps(summary: Summary) -> list[str]:
    gaps = []
    if summary.invalid_trials:
        count = text.plural(summary.invalid_trials, "trial")
        gaps.append(f"{count} of {summary.valid_trials + summary.invalid_trials} invalid and left out.")
    if summary.missing_trials:
        gaps.append(f"{text.plural(summary.missing_trials, 'planned trial')} not made.")
    return gaps
