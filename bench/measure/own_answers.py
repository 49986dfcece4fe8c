"""What a strategy answered when it was checked: what it must answer under load, if it is not exact."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bench.model import EXACT, Payload, Strategy
from bench.model.expectations import LabelExpectation
from bench.request_sets.promises import promised

Place = tuple[str, str]
"""A request's name and the encoding in which it was sent."""


@dataclass(frozen=True, slots=True)
class OwnAnswers:
    """The answers of a strategy that hold what it declares, each as what must come back from now on."""

    strategy: str
    answers: Mapping[Place, LabelExpectation]


def with_own(
    payloads: Iterable[Payload], strategy: Strategy, own: Mapping[Place, LabelExpectation]
) -> tuple[Payload, ...]:
    """The payloads with what must come back from this strategy.

    An exact one must answer as the reference does, any other as it did itself, or, before it was checked, as
    it declares of each answer.
    """
    if strategy.quality == EXACT:
        return tuple(payloads)
    return tuple(
        replace(one, expect=own.get((one.name, one.encoding)) or promised(one.expect, strategy.quality))
        for one in payloads
    )
