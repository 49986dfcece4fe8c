"""The interval of a share that was counted: so many of so many that are independent of each other."""

from scipy import special

from bench.statistics.estimates import CONFIDENCE, Estimate


def proportion(part: int, whole: int, confidence: float = CONFIDENCE) -> Estimate | None:
    """`part` of `whole` with the exact interval of Clopper and Pearson; None of nothing.

    Raises ValueError if the part is not from 0 to the whole.
    """
    if not 0 <= part <= whole:
        raise ValueError(f"{part} is no part of {whole}")
    if whole == 0:
        return None
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(part, whole - part + 1, tail)) if part else 0.0
    high = float(special.betaincinv(part + 1, whole - part, 1 - tail)) if part < whole else 1.0
    return Estimate(part / whole, low, high, whole)
