"""What a run was asked for and has no valid measurement of: a run that lacks any of it is no success."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from bench.analysis.cases import Case, case_in, is_search
from bench.analysis.doubt_counts import reasons
from bench.analysis.overload import judged_by_load
from bench.analysis.summary import Summary, summarise
from bench.model import Doubt, Run, SloResult, StrategyResult, Trial, gravest_first

Part = Literal["load", "objective", "long trial", "starts", "warm starts", "loop", "image"]


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A part that was asked of a strategy and is not measured.

    `trials` of it were made, and all are void; `why` is the gravest reason, None if there is none.
    """

    strategy: str
    part: Part
    case: Case | None = None
    objective: SloResult | None = None
    trials: int = 0
    why: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked beside trials: the strategies with a bare loop and with warm starts, and what of all."""

    loops: Collection[str] = ()
    warm_starts: Collection[str] = ()
    starts: bool = False
    images: bool = False
    longs: bool = False


def unmeasured(run: Run, asked: Asked) -> tuple[Unmeasured, ...]:
    """Everything that was asked and is not measured, strategy by strategy.

    A quick run is asked whether everything runs: there, a load needs no more than a trial that only the host
    spoiled.
    """
    run = judged_by_load(run)
    summary = summarise(run)
    found = [*_objectives(run), *(() if is_search(run) else _loads(run, summary)), *_longs(run, asked)]
    found += [one for name, result in run.strategies.items() for one in _beside(name, result, asked)]
    return tuple(sorted(found, key=lambda one: summary.strategies.index(one.strategy)))


def _objectives(run: Run) -> Iterator[Unmeasured]:
    """The objectives of which nobody knows which rate holds them."""
    for one in run.objectives:
        if not one.known:
            yield Unmeasured(one.strategy, "objective", objective=one)


def _loads(run: Run, summary: Summary) -> Iterator[Unmeasured]:
    """Each load that some strategy has and this one has no valid trial of."""
    for case in summary.cases:
        for name in summary.strategies:
            row = summary.rows.get((name, case))
            if row is None or not row.valid_trials:
                mine = [one for one in run.trials if (one.strategy, case_in(run, one)) == (name, case)]
                if not (run.quick and any(map(_spoiled_by_the_host, mine))):
                    yield _void(name, "load", case, mine)


def _spoiled_by_the_host(trial: Trial) -> bool:
    """Whether everything went right but for what else ran on the host."""
    why = [one for one in reasons(trial) if one.voids]
    return trial.error is None and bool(why) and all(one.cause == "host" for one in why)


def _longs(run: Run, asked: Asked) -> Iterator[Unmeasured]:
    """The payloads that a strategy was driven with, and has no valid long trial of."""
    driven = dict.fromkeys((one.strategy, one.payload_class, one.encoding) for one in run.trials)
    for name, *payloads in driven if asked.longs else ():
        mine = [one.trial for one in run.longs if _payloads(one.trial) == (name, *payloads)]
        if not any(trial.valid for trial in mine):
            yield _void(name, "long trial", None, mine)


def _payloads(trial: Trial) -> tuple[str, str, str]:
    return trial.strategy, trial.payload_class, trial.encoding


def _beside(name: str, result: StrategyResult, asked: Asked) -> Iterator[Unmeasured]:
    missing: dict[Part, bool] = {
        "starts": asked.starts and result.startup is None and not result.attached,
        "warm starts": name in asked.warm_starts and result.warm_startup is None,
        "loop": name in asked.loops and not result.loops,
        "image": asked.images and result.image is None and not result.attached,
    }
    yield from (Unmeasured(name, part) for part, lacks in missing.items() if lacks)


def _void(name: str, part: Part, case: Case | None, trials: list[Trial]) -> Unmeasured:
    grave = gravest_first(one for trial in trials for one in reasons(trial))
    return Unmeasured(name, part, case, trials=len(trials), why=next(iter(grave), None))
