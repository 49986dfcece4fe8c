"""Images are built and support services brought up; a strategy whose image cannot be built is left out."""

from collections.abc import Sequence

from bench.measure.run_builder import LeftOut
from bench.measure.runtime.instance import BuildError, Runtime
from bench.model import Doubt, Strategy

SEE_BUILDER = "what the builder wrote to stderr says why"


def prepare_what_can_be_built(
    runtime: Runtime, strategies: Sequence[Strategy], *, build: bool
) -> tuple[LeftOut, ...]:
    """Prepare the strategies whose images can be built; returns the others, which may be all of them."""
    left, failed = list(strategies), list[LeftOut]()
    while left:
        try:
            runtime.prepare(left, build=build)
            break
        except BuildError as error:
            doubt = Doubt(
                "not_built", "its image could not be built", SEE_BUILDER, voids=True, cause="service"
            )
            failed += [LeftOut(one.name, doubt) for one in left if one.name in error.strategies]
            if not any(one.name in error.strategies for one in left):
                raise
            left = [one for one in left if one.name not in error.strategies]
    return tuple(failed)
