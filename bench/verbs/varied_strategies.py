"""The variants that `--vary` makes of strategies, as strategies of a session."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bench.errors import UsageError
from bench.measure.machine.fingerprint import machine_folders
from bench.measure.runtime.registry import Registry
from bench.measure.runtime.stated_settings import StatedSettings, stated_settings
from bench.model import SessionOptions, Strategy, Variant, Varied
from bench.model.from_outside import MOST_LINE
from bench.model.variants import crossed, in_words, variant_names
from bench.verbs.vary_rules import STANZA, is_reserved


@dataclass(frozen=True, slots=True)
class WithVariants:
    """Strategies of a session; `unstated` are those that vary and whose settings nobody here could check."""

    strategies: tuple[Strategy, ...]
    unstated: tuple[Strategy, ...] = ()


def with_variants(
    strategies: Iterable[Strategy], session: SessionOptions, registry: Registry
) -> WithVariants:
    """The strategies with those that vary replaced by their variants.

    Raises UsageError for a setting that a service does not know, for a value that it refuses, and for a value
    that names a folder of this machine.
    """
    _require_elsewhere(session.varied, registry)
    every, chosen = crossed(session.varied), tuple(strategies)
    taken = {*registry.strategies, *(one.name for one in session.attached)}
    found: list[Strategy] = []
    unstated: list[Strategy] = []
    for one in chosen:
        if one.name not in every:
            found.append(one)
            continue
        variants = every[one.name]
        stated = stated_settings(registry, one, [{}, *(variant.settings for variant in variants)])
        if stated is None:
            unstated.append(one)
        else:
            _require_known(one, variants[0], stated)
            _require_taken(one, variants, stated)
        names = variant_names(variants, taken)
        taken |= {*names}
        found += [_variant(one, name, made) for name, made in zip(names, variants, strict=True)]
    return WithVariants(tuple(found), tuple(unstated))


def first_variant(strategies: Iterable[Strategy], session: SessionOptions) -> str | None:
    """What the others are compared with, if nobody names a baseline: the first variant that was asked for."""
    first = session.varied[0].strategy if session.varied else None
    return next((one.name for one in strategies if one.variant and one.variant.of == first), None)


def _variant(strategy: Strategy, name: str, variant: Variant) -> Strategy:
    title = f"{strategy.title}, {in_words(variant)}"
    shown = title if len(title) <= MOST_LINE else f"{title[: MOST_LINE - 1]}\N{HORIZONTAL ELLIPSIS}"
    return replace(strategy, name=name, title=shown, variant=variant)


def _require_elsewhere(varied: Iterable[Varied], registry: Registry) -> None:
    """Raise UsageError for a value that names a folder of this machine: run.json names none."""
    folders = [re.compile(rf"(?<![\w.-]){re.escape(one)}(?!\w)") for one in machine_folders(registry.root)]
    for one in varied:
        if any(folder.search(value) for folder in folders for value in one.values):
            raise UsageError(
                f"{one.strategy}:{one.setting} has a value with a folder of this machine, which no run.json "
                f"keeps: {STANZA}"
            )


def _require_known(strategy: Strategy, variant: Variant, stated: StatedSettings) -> None:
    for setting in variant.settings:
        if setting not in stated.settings:
            near = difflib.get_close_matches(setting.upper(), stated.settings, n=3, cutoff=0.5)
            others = [one for one in stated.settings if not is_reserved(one)]
            told = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(others)}"
            raise UsageError(f"{strategy.name} has no setting {setting}: {told}")


def _require_taken(strategy: Strategy, variants: Sequence[Variant], stated: StatedSettings) -> None:
    """Raise UsageError for a fault; a fault that the stanza has anyway is blamed on no value."""
    plain, *faults = stated.faults
    for variant, fault in zip(variants, faults, strict=True):
        if fault is not None and plain is not None:
            raise UsageError(
                f"{strategy.name} does not start as compose.yaml, service.env and the environment have it, "
                f"whatever varies: {plain}: mend this first"
            )
        if fault is not None:
            raise UsageError(
                f"{strategy.name} does not start with {in_words(variant)}: {fault}: leave that value out"
            )
