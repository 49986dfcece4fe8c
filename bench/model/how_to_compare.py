"""What a user says of how recorded answers are compared."""

from dataclasses import dataclass

WAYS = ("label", "tensors", "json", "bytes", "top-k", "unchecked")
USUAL_K = 5


@dataclass(frozen=True, slots=True)
class HowToCompare:
    """A way to compare, and how far an answer may be off; None where it follows from the answer or is usual.

    `tolerance` is absolute, of probabilities and of JSON's numbers; `rtol` and `atol` are of tensors; `k` is
    of top-k. The places of `ignore`, JSON pointers, do not count.
    """

    compare: str | None = None
    tolerance: float | None = None
    rtol: float | None = None
    atol: float | None = None
    k: int = USUAL_K
    ignore: tuple[str, ...] = ()
