"""Amounts as people write them in gate.toml: percentages, sizes and counts."""

import re
from dataclasses import dataclass
from typing import Any

BYTES = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
NUMBER = r"(\d+(?:\.\d+)?)"


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in the metric's own unit, or a share of base where `relative`, and how it was written."""

    value: float
    relative: bool
    written: str


def share(value: Any) -> float | None:
    """The share that a percentage such as "5%" is; None where it is no percentage."""
    found = re.fullmatch(rf"{NUMBER}\s*%", value.strip()) if isinstance(value, str) else None
    return float(found.group(1)) / 100 if found else None


def amount(value: Any, unit: str, *, relative: bool) -> Amount | None:
    """An amount of bytes, a count or a share, at least 0; None where the value is no such thing.

    Where `relative`, a percentage is a share of base.
    """
    if value == 0 and type(value) is int:
        return Amount(0.0, False, "0")
    part = share(value)
    if part is not None and (relative or unit == "share"):
        return Amount(part, relative, str(value)) if relative or part <= 1 else None
    if unit == "count":
        return Amount(float(value), False, str(value)) if type(value) is int and value > 0 else None
    return _bytes(value) if unit == "bytes" else None


def _bytes(value: Any) -> Amount | None:
    units = "|".join(BYTES)
    found = re.fullmatch(rf"{NUMBER}\s*({units})", value.strip()) if isinstance(value, str) else None
    return Amount(float(found.group(1)) * BYTES[found.group(2)], False, value) if found else None
