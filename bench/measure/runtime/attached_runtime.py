"""The runtime of services that run already, beside that of the strategies that bench starts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.measure.runtime.attached_instance import AttachedInstance, ServiceAccount
from bench.measure.runtime.instance import Instance, Runtime, RuntimeFacts, StrategyStartError
from bench.model import ImageSize, Strategy, in_words

ALONE = "attached"


class AttachedRuntime:
    """Attaches to the services that run already, and hands all else to the runtime that `starts` the others.

    Without that, all strategies run already. `accounts` has one for each that does, by its name.
    """

    def __init__(
        self, root: Path, accounts: Mapping[str, ServiceAccount], starts: Runtime | None = None
    ) -> None:
        self.root, self._accounts, self._starts = root, accounts, starts
        self.kind = ALONE if starts is None else starts.kind

    def prepare(self, strategies: Sequence[Strategy], *, build: bool) -> None:
        """Prepare the strategies that are started."""
        if self._starts is not None:
            self._starts.prepare([one for one in strategies if one.attachment is None], build=build)

    def start(self, strategy: Strategy, *, warm: bool = False) -> Instance:
        """Start a fresh copy, or take up the service that runs.

        Raises StrategyStartError if that ended or was restarted since the session began.
        """
        if strategy.attachment is None:
            return self._starter(strategy).start(strategy, warm=warm)
        account = self._accounts[strategy.name]
        for one in account.fate():
            raise StrategyStartError(f"{strategy.name}: {in_words(one)}")
        return AttachedInstance(strategy.attachment, strategy.port, account)

    def model_bytes(self, strategy: Strategy) -> int | None:
        """What lies in the model cache of a strategy that is started."""
        return None if strategy.attachment else self._starter(strategy).model_bytes(strategy)

    def measure_cache(self, strategy: Strategy) -> None:
        """Measure the model cache of a strategy that is started."""
        self._starter(strategy).measure_cache(strategy)

    def image_size(self, strategy: Strategy) -> ImageSize | None:
        """The size of the image of a strategy that is started."""
        return None if strategy.attachment else self._starter(strategy).image_size(strategy)

    def run_loop(self, strategy: Strategy, request: bytes, timeout_s: float) -> bytes:
        """Run the loop of a strategy that is started."""
        return self._starter(strategy).run_loop(strategy, request, timeout_s)

    def describe(self) -> RuntimeFacts:
        """What the runtime of the others says, or what the accounts say, and on which cores services run."""
        cores = {name: account.cores for name, account in self._accounts.items()}
        elsewhere = tuple(name for name, account in self._accounts.items() if account.listens is False)
        if self._starts is not None:
            return replace(self._starts.describe(), found_on=cores, not_there=elsewhere)
        memory = {one.memory_from for one in self._accounts.values() if one.memory_from is not None}
        cpu = {one.cpu_from for one in self._accounts.values() if one.cpu_from is not None}
        return RuntimeFacts(
            "as given",
            peak_memory_from=memory.pop() if len(memory) == 1 else None,
            cpu_time_from=cpu.pop() if len(cpu) == 1 else None,
            found_on=cores,
            not_there=elsewhere,
        )

    def close(self) -> None:
        """Stop what was started."""
        if self._starts is not None:
            self._starts.close()

    def _starter(self, strategy: Strategy) -> Runtime:
        if self._starts is None or strategy.attachment is not None:
            raise ValueError(f"{strategy.name} runs already: this is a fault of bench")
        return self._starts
