"""Which facts of two runs' environments must be equal before their timings may be compared."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.model import USUAL_TOLERANCE, Ceiling, Environment, facts

UNKNOWN = "n/a"
GIB = 1024**3

# the same driver against the same stub does not differ by so much unless the machine does
MOST_DRIFT = 1.2

# what a comparison is about (code, images), what it may choose (how often, in which order), and what is
# itself a reading: none of them makes a figure another figure
FREE = frozenset(
    {
        "commit",
        "dirty",
        "images",
        "stolen_since_boot",
        "settings.rounds",
        "settings.startups",
        "settings.warm_startups",
        "settings.loop_s",
        "settings.bounds.other_cpu",
        "settings.long_s",
        "settings.seed",
    }
)


# older runs do not say what they sent; what is told of it here suffices to tell two apart
DIGESTS, SHOWN_DIGITS = "settings.payload_digests.", 12
# these follow from what was sent
SIZES = "settings.payload_sizes."

# a run that does not say so had this too, and it is left out
TOLERANCE, TOLERANCES = "settings.tolerance", "settings.tolerances."
USUAL = {TOLERANCE: f"{USUAL_TOLERANCE:g}"}


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that differs between two runs: its name, and its value in each run as text, `n/a` if unknown."""

    name: str
    base: str
    head: str


def comparable_facts(environment: Environment) -> dict[str, str]:
    """The facts on which timings depend, as text by dotted name (`settings.window_s`), if they are known.

    Memory is rounded to a tenth of a GiB, because the kernel leaves a little more or less of it at each boot.
    """
    return {
        name: text
        for name, value in facts(environment)
        if name not in FREE
        and name.partition(".")[0] not in FREE
        and not name.startswith(SIZES)
        and (text := _text(name, value)) != USUAL.get(name, UNKNOWN)
    }


def differing_facts(
    base: Environment, head: Environment, strategies: Collection[str] | None = None
) -> tuple[Difference, ...]:
    """What differs between two environments, in the order of the base; empty if their timings compare.

    A fact that only one environment has counts as different. If only some `strategies` are compared, the
    tolerances of others do not count, and theirs are those that they had, by a label or by the run's.
    """
    found = _all_differences(base, head)
    if strategies is None:
        return found
    others = [one for one in found if one.name != TOLERANCE and not one.name.startswith(TOLERANCES)]
    allowed = {name: (_tolerance(base, name), _tolerance(head, name)) for name in strategies}
    apart = [Difference(f"{TOLERANCES}{name}", a, b) for name, (a, b) in allowed.items() if a != b]
    whole = [one for one in found if one.name == TOLERANCE]
    # what the runs' own tolerances explain is said once
    same = [one for one in apart if whole and (one.base, one.head) == (whole[0].base, whole[0].head)]
    labelled = [one for one in apart if one not in same]
    return (*others, *(whole if same else ()), *labelled)


def _tolerance(environment: Environment, strategy: str) -> str:
    """The tolerance that the answers of a strategy had, as text: its label's, or the run's."""
    known = comparable_facts(environment)
    return known.get(f"{TOLERANCES}{strategy}", known.get(TOLERANCE, USUAL[TOLERANCE]))


def _all_differences(base: Environment, head: Environment) -> tuple[Difference, ...]:
    ours, theirs = comparable_facts(base), comparable_facts(head)
    return tuple(
        Difference(name, ours.get(name, USUAL.get(name, UNKNOWN)), theirs.get(name, USUAL.get(name, UNKNOWN)))
        for name in differing_names(ours, theirs)
    )


def differing_names(ours: Mapping[str, str], theirs: Mapping[str, str]) -> tuple[str, ...]:
    """The names of comparable facts that differ; what was sent differs only if both say what they sent."""
    told = tells_payloads(ours) and tells_payloads(theirs)
    return tuple(
        name
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name) and (told or not name.startswith(DIGESTS))
    )


def tells_payloads(facts_of_run: Iterable[str]) -> bool:
    """Whether a run with these facts says what exactly it sent."""
    return any(name.startswith(DIGESTS) for name in facts_of_run)


def differing_speed(base: Sequence[Ceiling], head: Sequence[Ceiling]) -> tuple[Difference, ...]:
    """How the speed of the machine itself differs, by the ceilings, which do not depend on any strategy.

    Each difference is in the requests/s of a stub that answers at once, for payloads that both runs sent, if
    they differ by more than a factor of 1.2.
    """
    known = {(one.payload_class, one.encoding, one.clients): one for one in base}
    differences = []
    for one in head:
        before = known.get((one.payload_class, one.encoding, one.clients))
        a, b = _rates(before, one) if before else (0.0, 0.0)
        if a > 0 and b > 0 and max(a / b, b / a) > MOST_DRIFT:
            name = f"a stub's requests/s ({one.payload_class}, {one.encoding})"
            differences.append(Difference(name, f"{a:.0f}", f"{b:.0f}"))
    return tuple(differences)


def _rates(before: Ceiling, now: Ceiling) -> tuple[float, float]:
    """ApacheBench's rates if both ceilings have them, as ab stays the same when our own driver changes."""
    if before.ab_throughput_rps and now.ab_throughput_rps:
        return before.ab_throughput_rps, now.ab_throughput_rps
    return before.throughput_rps, now.throughput_rps


def _text(name: str, value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or UNKNOWN
    if name.startswith(DIGESTS):
        return str(value)[:SHOWN_DIGITS]
    if name == "memory_bytes" and isinstance(value, int | float):
        return f"{value / GIB:.1f} GiB"
    return UNKNOWN if value is None else str(value)
