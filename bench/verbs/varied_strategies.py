"""The variants that `--vary` makes of strategies, as strategies of a session."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.errors import UsageError
from bench.measure.runtime.registry import Registry
from bench.measure.runtime.stated_settings import stated_settings
from bench.model import SessionOptions, Strategy, Variant
from bench.model.from_outside import MOST_LINE
from bench.model.variants import crossed, in_words, variant_names
from bench.verbs.vary_arguments import is_reserved


def with_variants(
    strategies: Iterable[Strategy], session: SessionOptions, registry: Registry
) -> tuple[Strategy, ...]:
    """The strategies with those that vary replaced by their variants.

    Raises UsageError for a setting that a service does not know, and for a value that it refuses.
    """
    every, chosen = crossed(session.varied), tuple(strategies)
    taken = {*registry.strategies, *(one.name for one in session.attached)}
    found: list[Strategy] = []
    for one in chosen:
        if one.name not in every:
            found.append(one)
            continue
        variants = every[one.name]
        _require_device(session, variants)
        _require_settings(registry, one, variants)
        names = variant_names(variants, taken)
        taken |= {*names}
        found += [_variant(one, name, made) for name, made in zip(names, variants, strict=True)]
    return tuple(found)


def first_variant(strategies: Iterable[Strategy], session: SessionOptions) -> str | None:
    """What the others are compared with, if nobody names a baseline: the first variant that was asked for."""
    first = session.varied[0].strategy if session.varied else None
    return next((one.name for one in strategies if one.variant and one.variant.of == first), None)


def _variant(strategy: Strategy, name: str, variant: Variant) -> Strategy:
    title = f"{strategy.title}, {in_words(variant)}"
    shown = title if len(title) <= MOST_LINE else f"{title[: MOST_LINE - 1]}\N{HORIZONTAL ELLIPSIS}"
    return replace(strategy, name=name, title=shown, variant=variant)


def _require_device(session: SessionOptions, variants: Sequence[Variant]) -> None:
    if session.machine.device != "auto" and any("DEVICE" in one.settings for one in variants):
        raise UsageError("--device and --vary both set DEVICE: leave out --device")


def _require_settings(registry: Registry, strategy: Strategy, variants: Sequence[Variant]) -> None:
    stated = stated_settings(registry, strategy, [one.settings for one in variants])
    if stated is None:
        return
    for setting in variants[0].settings:
        if setting not in stated.settings:
            near = difflib.get_close_matches(setting.upper(), stated.settings, n=3, cutoff=0.5)
            others = [one for one in stated.settings if not is_reserved(one)]
            told = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(others)}"
            raise UsageError(f"{strategy.name} has no setting {setting}: {told}")
    for variant, fault in zip(variants, stated.faults, strict=True):
        if fault is not None:
            raise UsageError(
                f"{strategy.name} does not start with {in_words(variant)}: {fault}: leave that value out"
            )
