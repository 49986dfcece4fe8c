"""Doubts for runs that tests make up."""

from bench.model import Cause, Doubt, DoubtCode


def doubt(
    text: str = "the host stole 7.5% of the service core's time",
    code: DoubtCode = "stolen",
    *,
    remedy: str = "",
    voids: bool = True,
    cause: Cause = "host",
) -> Doubt:
    """A doubt in which only what a test is about need be named."""
    return Doubt(code, text, remedy, voids=voids, cause=cause)
