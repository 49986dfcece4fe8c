"""Variants of a strategy: the same service with other settings, crossed and named by what differs."""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from bench.model.from_outside import MOST_NAME, decimal_number

# what a name of a strategy does not have
UNNAMED = re.compile(r"[^A-Za-z0-9.]+")
MINUS = re.compile(r"^-(?=\.?[0-9])")


@dataclass(frozen=True, slots=True)
class Varied:
    """A setting of a strategy, an environment variable of its service, and the values that it is given."""

    strategy: str
    setting: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """What a strategy is a variant of, and the settings that it has instead of those of its stanza."""

    of: str
    settings: Mapping[str, str]


def in_words(variant: Variant) -> str:
    """What differs: `THREADS=2, MAX_BATCH=8`."""
    return ", ".join(f"{setting}={value}" for setting, value in variant.settings.items())


def crossed(varied: Iterable[Varied]) -> dict[str, tuple[Variant, ...]]:
    """Of each strategy all combinations of its settings' values; the first setting changes last."""
    axes: dict[str, list[Varied]] = {}
    for one in varied:
        axes.setdefault(one.strategy, []).append(one)
    return {
        strategy: tuple(
            Variant(strategy, dict(zip((axis.setting for axis in own), values, strict=True)))
            for values in product(*(axis.values for axis in own))
        )
        for strategy, own in axes.items()
    }


def how_many(varied: Iterable[Varied]) -> int:
    """How many variants these make, without making them."""
    of_strategy: dict[str, int] = {}
    for one in varied:
        of_strategy[one.strategy] = of_strategy.get(one.strategy, 1) * len(one.values)
    return sum(of_strategy.values())


def variant_names(variants: Sequence[Variant], taken: Collection[str] = ()) -> tuple[str, ...]:
    """A name for each variant of one strategy, `onnx-threads-2`, that no other strategy has.

    Where values have no letters or digits to tell them apart, where names would be too long, or where one is
    taken, the names have the variants' numbers instead: `onnx-1`. Two runs may so give one name to different
    settings: only the settings say what a variant is.
    """
    names = tuple(_named(one) for one in variants)
    # names of files, of which some systems have only one whatever the case of its letters
    alone = len({one.lower() for one in names}) == len(names)
    if alone and all(len(one) <= MOST_NAME and one not in taken for one in names):
        return names
    return _numbered(variants, taken)


def _named(variant: Variant) -> str:
    parts = (
        UNNAMED.sub("-", part).strip("-")
        for setting, value in variant.settings.items()
        for part in (setting.lower(), MINUS.sub("minus-", value))
    )
    return "-".join((variant.of, *parts))


def _numbered(variants: Sequence[Variant], taken: Collection[str]) -> tuple[str, ...]:
    names: list[str] = []
    number = 0
    while len(names) < len(variants):
        number += 1
        name = f"{variants[0].of[: MOST_NAME - 8]}-{number}"
        names += [] if name in taken else [name]
    return tuple(names)


def as_numbers(values: Iterable[str]) -> tuple[float, ...] | None:
    """The numbers that the values write, negative ones too; None if any of them is another text."""
    found = tuple(_number(value) for value in values)
    return None if any(math.isnan(one) for one in found) else found


def _number(text: str) -> float:
    size = decimal_number(text.removeprefix("-"))
    if size is None:
        return math.nan
    return -size if text.startswith("-") else size
