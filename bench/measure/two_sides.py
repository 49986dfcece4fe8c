"""Two commits as one runtime: the strategies of each are told apart by their names, and run by its own."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bench.errors import BenchError
from bench.measure.instance import Instance, Runtime, StartError
from bench.model import BASE, ImageSize, Strategy


class TwoSides:
    """Runs strategies named `x@base` by base's runtime under their own name `x`, all others by head's."""

    def __init__(self, head: Runtime, base: Runtime) -> None:
        self.kind, self.root = head.kind, head.root
        self._head, self._base = head, base

    def prepare(self, strategies: Sequence[Strategy], *, build: bool) -> None:
        """Prepare both sides; local processes of both pull their models from head's store."""
        self._head.prepare([one for one in strategies if not is_base(one)], build=build)
        if self.kind == "compose":
            self._base.prepare([_own_name(one) for one in strategies if is_base(one)], build=build)

    def start(self, strategy: Strategy, *, warm: bool = False) -> Instance:
        """Start a fresh copy of its side; raises StartError."""
        side, own = self._side(strategy)
        try:
            return side.start(own, warm=warm)
        except StartError as error:
            raise StartError(f"base's {error}" if is_base(strategy) else str(error)) from None

    def model_bytes(self, strategy: Strategy) -> int | None:
        """What lies in the model cache of its side's warm starts."""
        side, own = self._side(strategy)
        return side.model_bytes(own)

    def measure_cache(self, strategy: Strategy) -> None:
        """Look into the model cache of its side; raises StartError."""
        side, own = self._side(strategy)
        side.measure_cache(own)

    def image_size(self, strategy: Strategy) -> ImageSize | None:
        """The size of its side's image."""
        side, own = self._side(strategy)
        return side.image_size(own)

    def run_loop(self, strategy: Strategy, request: bytes, timeout_s: float) -> bytes:
        """Run the loop command of its side; raises StartError."""
        side, own = self._side(strategy)
        return side.run_loop(own, request, timeout_s)

    def describe(self) -> Mapping[str, Any]:
        """Head's facts, and the images of both; raises BenchError where the ways to them differ."""
        head, base = self._head.describe(), self._base.describe()
        ways = {side.get("address_kind") for side in (head, base)} - {"", None}
        if len(ways) > 1:
            raise BenchError("base and head are not reached in the same way, so they cannot be compared")
        images = {f"{name}{BASE}": digest for name, digest in base.get("images", {}).items()}
        return {**head, **({"images": {**head["images"], **images}} if "images" in head else {})}

    def close(self) -> None:
        """Stop what was started on both sides, and bring back what ran before."""
        try:
            self._base.close()
        finally:
            self._head.close()

    def _side(self, strategy: Strategy) -> tuple[Runtime, Strategy]:
        return (self._base, _own_name(strategy)) if is_base(strategy) else (self._head, strategy)


def is_base(strategy: Strategy) -> bool:
    """Whether the strategy is one of base's."""
    return strategy.name.endswith(BASE)


def _own_name(strategy: Strategy) -> Strategy:
    return dataclasses.replace(strategy, name=strategy.name.removesuffix(BASE))
