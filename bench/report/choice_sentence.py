"""What a run says to somebody who must choose, in one or two sentences with few numbers."""

from collections.abc import Sequence

from bench.analysis.cases import Case
from bench.analysis.choice import Choice, Criterion, Lesser, Standing, choose
from bench.analysis.costs import core_count
from bench.analysis.summary import Summary
from bench.model import USUAL_CLIENTS, Promise, Run
from bench.model.variants import in_words
from bench.report import text
from bench.report.payload_words import payload_words, searched_words
from bench.report.quality_words import answers_like, in_short, named
from bench.report.sentence import ONE_ROUND, QUICK, found
from bench.report.unchecked_sentence import unchecked_sentence

LEADS: dict[Criterion, str] = {
    "lateness": "is the least late",
    "start": "starts fastest",
    "memory": "needs the least memory",
    "image": "has the smallest image",
}
PRIMARY: dict[Criterion, str] = {
    "requests": "serves the most",
    "held": "holds the highest rate",
    "lateness": LEADS["lateness"],
}
# the same beside those that are named
BEATS: dict[Criterion, str] = {
    "requests": "serves more",
    "held": "holds a higher rate",
    "lateness": "is less late",
    "start": "starts faster",
    "memory": "needs less memory",
    "image": "has a smaller image",
}
AHEAD: dict[Criterion, str] = {
    "lateness": "lateness",
    "start": "time to start",
    "memory": "memory",
    "image": "size of the image",
}
FIGURES: dict[Criterion, str] = {"requests": "requests/s", "held": "the rate that held", "lateness": "p99"}
GAINS: dict[Criterion, tuple[str, str]] = {
    "requests": ("serves", "the requests"),
    "held": ("holds", "the rate"),
}
PROMISED: dict[Promise, str] = {
    "exact": "exact answers",
    "bounded": "a bound of its differences",
    "agreement": "a share of agreement",
}
MORE_GAINS = "Of a lesser quality, and better too"
NO_GAIN = "Of a lesser quality, and not shown to be better"
MOST_LESSER = 2
# beyond these a sentence is a worse table
MOST_CASES = 3
MOST_NAMED = 4
# at this multiple a decimal says nothing any more
WHOLE = 10


def choice_sentence(run: Run, summary: Summary) -> str:
    """Who serves how much, which strategy to start with and why, and what is not proven."""
    if not run.trials and not run.objectives:
        return "No trial was made: there is nothing to choose by."
    if summary.valid_trials == 0 and not (summary.searched and run.objectives):
        told = f"Invalid: none of {text.plural(len(run.trials), 'trial')} may be believed."
        return " ".join(part for part in (told, unchecked_sentence(run)) if part)
    parts = [unchecked_sentence(run), ONE_ROUND if summary.one_round else "", QUICK if run.quick else ""]
    parts += _answer(run, summary, choose(run, summary))
    return " ".join(part for part in parts if part)


def _answer(run: Run, summary: Summary, choice: Choice) -> list[str]:
    if len(choice.strategies) + len(choice.lesser) < 2:
        return [found(run, summary)]
    told = found(run, summary) if summary.searched else _measured(run, summary, choice)
    gaps = [] if summary.searched else [_left_out(run, summary, choice)]
    open_ends = [] if summary.one_round else [_not_proven(run, summary, choice)]
    lesser = _lesser(run, summary, choice)
    return [told, _pick(run, summary, choice), *lesser, *gaps, *open_ends, _not_measured(run, summary)]


def _measured(run: Run, summary: Summary, choice: Choice) -> str:
    """`On one core, with small payloads, onnx serves 1.9 times the requests of torch; ...`.

    If there are strategies that promise less, it says that they are not among these. Empty of a single one.
    """
    if len(choice.strategies) < 2:
        return ""
    primary = choice.standings[: choice.primary]
    clauses = [
        f"with {payload_words(run, summary, [one.case])}, {_clause(summary, one, first=place == 0)}"
        for place, one in enumerate(primary[:MOST_CASES])
        if one.case is not None
    ]
    where = _cores(run, summary)
    among = (
        f"among the {text.spaced(len(choice.strategies))} {_alike(summary, choice)}" if choice.lesser else ""
    )
    where = f"{where[0].lower()}{where[1:]}" if among and where else where
    told = ", ".join(part for part in (among, where, _unusual(primary), "; ".join(clauses)) if part)
    return f"{told[0].upper()}{told[1:]}."


def _alike(summary: Summary, choice: Choice) -> str:
    """`exact strategies`: what all that can be chosen promise of their answers."""
    promise = summary.quality_of(choice.strategies[0]).quality.promise
    return "exact strategies" if promise == "exact" else f"strategies that declare {PROMISED[promise]}"


def _lesser(run: Run, summary: Summary, choice: Choice) -> list[str]:
    """Of the strategies that promise less: what the better ones gain for which answers, then the others."""
    better = sorted((one for one in choice.lesser if one.ahead), key=_size_of_gain, reverse=True)
    told = [_gain(run, summary, one) for one in better[:MOST_LESSER]]
    more = [one.strategy for one in better[MOST_LESSER:]]
    others = [one.strategy for one in choice.lesser if not one.ahead]
    for lead, names in ((MORE_GAINS, more), (NO_GAIN, others)):
        listed = [named(summary, name) for name in names]
        told += (
            [f"{lead}: {text.listing(listed) if len(names) <= MOST_NAMED else _named(names)}."]
            if names
            else []
        )
    return told


def _size_of_gain(one: Lesser) -> float:
    """By which factor it is better, in the first thing in which it is."""
    first = one.ahead[0]
    ratio = first.figures[one.strategy] / first.figures[one.beside(first)]
    return max(ratio, 1 / ratio)


def _gain(run: Run, summary: Summary, one: Lesser) -> str:
    """`If answers that agree ... will do, onnx_int8 serves 1.3 times the requests of onnx with small ...`."""
    groups: dict[tuple[str, str], list[Standing]] = {}
    for standing in one.ahead[:MOST_CASES]:
        groups.setdefault(_better_by(standing, one), []).append(standing)
    told: list[str] = []
    said = set[str]()
    for (times, what), alike in groups.items():
        gain = times if what in said else what.format(times)
        said.add(what)
        told.append(f"{gain} with {_payloads(run, summary, alike)}")
    return (
        f"If {answers_like(summary.quality_of(one.strategy))} will do, {one.strategy} {text.listing(told)}."
    )


def _better_by(standing: Standing, one: Lesser) -> tuple[str, str]:
    """`1.3 times` and `serves {} the requests of onnx`: how much, and the words around it."""
    other = one.beside(standing)
    if standing.criterion == "lateness":
        ours, theirs = (text.number(standing.figures[name]) for name in (one.strategy, other))
        at = f" at {standing.case.load}" if standing.case else ""
        return f"{ours} ms against {theirs}", f"has a p99 of {{}} of {_braced(other)}{at}"
    verb, what = GAINS[standing.criterion]
    return _multiple(
        standing, one.strategy, other, proven=one.proven
    ), f"{verb} {{}} {what} of {_braced(other)}"


def _braced(name: str) -> str:
    """A name in a text that is formatted."""
    return name.replace("{", "{{").replace("}", "}}")


def _unusual(primary: tuple[Standing, ...]) -> str:
    """`at 1 client`: the load of closed loops, if it is not that of a run that was asked for nothing."""
    usual = f"{USUAL_CLIENTS} clients"
    loads = dict.fromkeys(one.case.load for one in primary if one.case and one.criterion == "requests")
    return "" if list(loads) in ([], [usual]) else f"at {text.listing(list(loads))}"


def _clause(summary: Summary, one: Standing, *, first: bool) -> str:
    if one.criterion == "lateness":
        return _times(one, first=first)
    return _multiples(summary, one, first=first)


def _cores(run: Run, summary: Summary) -> str:
    """On how many cores each strategy ran; empty if nobody knows, as some ran already."""
    cores = run.environment.service_cores
    if not isinstance(cores, str) or not cores or summary.attached:
        return ""
    return "On one core" if cores.isdigit() else f"On cores {cores}"


def _multiples(summary: Summary, one: Standing, *, first: bool) -> str:
    """`onnx serves 1.9 times and batched 1.6 times the requests of torch`, at first with the last words."""
    base = summary.baseline
    if base is None or base not in one.figures:
        return _rates(one)
    if len(one.figures) > MOST_NAMED:
        return _extremes(summary, one, base)
    groups: dict[str, list[str]] = {}
    for name in one.figures:
        if name != base:
            groups.setdefault(_multiple(one, name, base, proven=not summary.one_round), []).append(name)
    told: list[str] = []
    for times, names in groups.items():
        verb = "" if told or not first else " serves" if len(names) == 1 else " each serve"
        told.append(f"{text.listing(names)}{verb} {times}")
    return f"{text.listing(told)}{f' the requests of {base}' if first else ''}"


def _extremes(summary: Summary, one: Standing, base: str) -> str:
    """`of 6 strategies onnx-2 serves the most, 1.9 times the requests of onnx-1, and onnx-9 the fewest`."""
    names = list(one.figures)
    most, fewest = (
        _multiple(one, name, base, proven=not summary.one_round) for name in (names[0], names[-1])
    )
    told = f"of {len(names)} strategies {names[0]} serves the most"
    if names[0] == base:
        return f"{told} and {names[-1]} the fewest, {fewest} its requests"
    told = f"{told}, {most} the requests of {base}"
    return f"{told}, which serves the fewest" if names[-1] == base else f"{told}, and {names[-1]} the fewest"


def _multiple(one: Standing, name: str, base: str, *, proven: bool) -> str:
    """`1.9 times`; `about 1.0 times` if the difference from the baseline is not shown."""
    ratio = one.figures[name] / one.figures[base]
    apart = frozenset((name, base)) in one.apart
    times = f"{ratio:.0f}" if ratio >= WHOLE else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}"
    if apart and times in ("1.0", "1"):
        times = f"{ratio:.2f}"
    return f"{'about ' if proven and not apart else ''}{times} times"


def _rates(one: Standing) -> str:
    told = [f"{name} {text.number(rate)}" for name, rate in one.figures.items()]
    return f"requests/s are {text.listing(told)}"


def _times(one: Standing, *, first: bool) -> str:
    """`at 100 requests/s, 99 of 100 answers come within 17 ms from onnx and 66 ms from torch`."""
    told = [f"{text.number(ms)} ms from {name}" for name, ms in one.figures.items()]
    load = one.case.load if one.case else ""
    return f"at {load}, {'99 of 100 answers come within ' if first else ''}{text.listing(told)}"


def _pick(run: Run, summary: Summary, choice: Choice) -> str:
    """Why to start with whom: `onnx starts fastest and needs the least memory: start with onnx.`"""
    if choice.pick is None:
        return "No strategy is near the best everywhere: choose by your own payloads."
    variant = run.strategies[choice.pick].variant if choice.pick in run.strategies else None
    quality = summary.quality_of(choice.pick)
    notes = [*([in_words(variant)] if variant else []), *([] if quality.exact else [in_short(quality)])]
    told = f"{choice.pick} ({', '.join(notes)})" if notes else choice.pick
    if len(choice.strategies) == 1:
        what = "is exact" if quality.exact else f"declares {PROMISED[quality.quality.promise]}"
        return f"Of {len(choice.lesser) + 1} strategies only {choice.pick} {what}: start with {told}."
    if not choice.proven:
        return f"By these figures {told} comes first."
    if choice.rivals and set(choice.rivals) <= set(choice.open):
        every = f"these {len(choice.near)} strategies"
        names = every if _all_are_near(choice) else _named([choice.pick, *choice.rivals])
        return f"Nothing tells {names} apart: take what is simplest to run."
    return f"{choice.pick} {_why(choice)}: start with {told}."


def _why(choice: Choice) -> str:
    """What decided: in what the pick is first, or what it has before those that are near the best too."""
    first = choice.standings[0].criterion
    words = [PRIMARY[first] if one == first else LEADS[one] for one in choice.leads]
    if not choice.rivals and first not in choice.leads:
        words = ["alone is near the best in every case", *words]
    if choice.level and first not in choice.leads:
        figures = f"better figures for {FIGURES[first]}"
        return text.listing([*words, f"is ahead in as much as {_named(choice.level)}, with {figures}"])
    if words:
        return text.listing(words)
    if choice.beats_rivals_in:
        better = text.listing([BEATS[one] for one in choice.beats_rivals_in])
        return f"{better} than {_named(choice.rivals)}"
    return f"is among the first in {text.listing([AHEAD[one] for one in choice.ahead_in])}"


def _all_are_near(choice: Choice) -> bool:
    """Whether so many are near the best that nobody need be named."""
    return len(choice.near) > MOST_NAMED and len(choice.near) == len(choice.strategies)


def _named(names: Sequence[str]) -> str:
    return text.listing(list(names)) if len(names) <= MOST_NAMED else f"{len(names)} strategies"


def _left_out(run: Run, summary: Summary, choice: Choice) -> str:
    """Who has no figure in some case, and in which cases nobody has."""
    primary = [one.case for one in choice.standings[: choice.primary] if one.case]
    told = []
    for name in choice.left_out:
        lacking = [case for case in primary if not _has_figure(summary, name, case)]
        where = f" with {payload_words(run, summary, lacking)}" if lacking else ""
        told.append(f"{name} is left out: it has no valid figure{where}.")
    if choice.blank:
        told.append(f"With {payload_words(run, summary, choice.blank)} nobody has a valid figure.")
    return " ".join(told)


def _has_figure(summary: Summary, name: str, case: Case) -> bool:
    row = summary.rows.get((name, case))
    metric = "p99" if case.at_due_times else "throughput"
    return row is not None and not row.overloaded and row.estimates[metric] is not None


def _not_proven(run: Run, summary: Summary, choice: Choice) -> str:
    """Whom the first figures do not tell apart from the pick, and where."""
    where: dict[str, list[Standing]] = {}
    for one in choice.standings[: choice.primary]:
        for name in one.figures:
            if choice.pick not in (None, name) and frozenset((name, choice.pick)) not in one.apart:
                where.setdefault(name, []).append(one)
    told = []
    for name, open_ones in list(where.items())[:MOST_NAMED]:
        some = f" with {_payloads(run, summary, open_ones)}" if len(open_ones) < choice.primary else ""
        told.append(f"{choice.pick} and {name}{some}")
    told += [f"{choice.pick} and {len(where) - MOST_NAMED} more"] if len(where) > MOST_NAMED else []
    kind = FIGURES[choice.standings[0].criterion] if choice.standings else ""
    return f"Not told apart in {kind}: {'; '.join(told)}." if told else ""


def _payloads(run: Run, summary: Summary, standings: Sequence[Standing]) -> str:
    searched = [one.objective for one in standings if one.objective]
    if searched:
        return searched_words(run, summary, searched)
    return payload_words(run, summary, [one.case for one in standings if one.case])


def _not_measured(run: Run, summary: Summary) -> str:
    """What a run of full loads cannot say; a load is full if some clients wait whatever the cores do."""
    cores = core_count(run.environment.service_cores) or 1
    if summary.searched or any(case.at_due_times or case.size <= cores for case in summary.cases):
        return ""
    return "How late they are below full load was not measured."
