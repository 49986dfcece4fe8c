"""A run's variants along the setting that makes them: which strategy has which value, line by line."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.analysis.cases import Case
from bench.analysis.summary import Summary, equal_rates, rows_at
from bench.model import Run, Variant
from bench.model.variants import as_numbers


@dataclass(frozen=True, slots=True)
class Sweep:
    """The values of a setting of one strategy, and the variants that have them.

    `values` are in the order of their `numbers`, or as they were asked for if they are not all numbers.
    `lines` has for each combination of the other settings, in words, the names of variants by their values.
    """

    of: str
    setting: str
    values: tuple[str, ...]
    numbers: tuple[float, ...] | None
    lines: Mapping[str, Mapping[str, str]]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all variants."""
        return tuple(name for line in self.lines.values() for name in line.values())


def variant_of(run: Run, name: str) -> Variant | None:
    """The variant that has this name in a run; None of a strategy as it is configured."""
    result = run.strategies.get(name)
    return None if result is None else result.variant


def sweeps(run: Run) -> tuple[Sweep, ...]:
    """A sweep for each strategy of which a setting has two values or more: along the first such setting."""
    variants: dict[str, dict[str, Variant]] = {}
    for name, result in run.strategies.items():
        if result.variant is not None:
            variants.setdefault(result.variant.of, {})[name] = result.variant
    found = (_sweep(of, own) for of, own in variants.items())
    return tuple(one for one in found if one is not None)


def _sweep(of: str, variants: Mapping[str, Variant]) -> Sweep | None:
    values: dict[str, dict[str, None]] = {}
    for variant in variants.values():
        for setting, value in variant.settings.items():
            values.setdefault(setting, {})[value] = None
    several = [setting for setting, found in values.items() if len(found) > 1]
    if not several:
        return None
    along, *others = several
    lines: dict[str, dict[str, str]] = {}
    for name, variant in variants.items():
        told = ", ".join(
            f"{other}={variant.settings[other]}" for other in others if other in variant.settings
        )
        if along in variant.settings:
            lines.setdefault(told, {})[variant.settings[along]] = name
    ordered, numbers = tuple(values[along]), as_numbers(values[along])
    if numbers is not None:
        ordered = tuple(value for _, value in sorted(zip(numbers, ordered, strict=True)))
        numbers = tuple(sorted(numbers))
    return Sweep(of, along, ordered, numbers, lines)


def equal_load(summary: Summary, case: Case) -> Case:
    """Where the latency of these payloads is best compared: at the highest rate that overloaded no strategy.

    Without a rate that is the same for all, and at which any has a p99, it is the case itself.
    """
    rate = equal_rates(summary).get((case.payload_class, case.encoding), case)
    return rate if any(row.estimates["p99"] for row in rows_at(summary, [rate])) else case
