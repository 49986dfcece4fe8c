"""What a million requests cost, by the price of a core-hour that the user gave."""

from dataclasses import dataclass

from bench.analysis.metrics import scaled
from bench.analysis.summary import Row, Summary
from bench.model import Run
from bench.statistics import Estimate

MILLION = 1e6
MS_PER_HOUR = 3.6e6
S_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a million requests of a row, in the currency of the price.

    `cpu_time` is the price of the CPU time that they use, `whole_cores` that of the service's cores for as
    long as the service takes to answer them. This is None if the service was not `full`: at a rate that
    somebody chose it is the price by that rate, the same for every strategy. A closed loop keeps it full, and
    the rate that held is what it can be sold for; without a valid trial there is no figure even so.
    """

    row: Row
    cpu_time: Estimate | None
    whole_cores: Estimate | None
    full: bool


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs at the load that stands for the run, or at the rates at which objectives held.

    `cores` is None if the service's cores are unknown.
    """

    price_per_core_hour: float
    cores: int | None
    costs: tuple[Cost, ...]


def costs(run: Run, summary: Summary) -> Costs | None:
    """The cost of each strategy.

    None if the run has no price of a core-hour, or no figures at the load that stands for it.
    """
    price = run.price_per_core_hour
    if price is None or not summary.rows:
        return None
    cores = core_count(run.environment.service_cores)
    rows = [row for row in summary.rows.values() if row.case in summary.focus]
    if any(row.case.at_due_times for row in rows):
        rows = _held(run, summary) or rows
    if not rows:  # a search that found no rate
        return None
    return Costs(price, cores, tuple(_cost(run, row, price, cores) for row in rows))


def _cost(run: Run, row: Row, price: float, cores: int | None) -> Cost:
    full = row.case.kind == "closed" or _objective_held(run, row)
    # nobody gave it cores of its own if it ran already
    cores = None if run.strategies[row.strategy].attached else cores
    return Cost(row, _cpu_time(row, price), _whole_cores(row, price, cores) if full else None, full)


def _held(run: Run, summary: Summary) -> list[Row]:
    """The rows at the highest rate at which each objective held."""
    return [row for row in summary.rows.values() if _objective_held(run, row)]


def _objective_held(run: Run, row: Row) -> bool:
    """Whether an objective held at the row's rate, and at none above: what the service can be sold for."""
    wanted = (row.strategy, row.case.payload_class, row.case.encoding, row.case.size)
    return row.case.kind == "held" or any(
        (one.strategy, one.payload_class, one.encoding, one.rate_per_s) == wanted for one in run.objectives
    )


def core_count(cores: object) -> int | None:
    """How many cores a list such as `0,2-3` names; None if it is empty or not a list of cores."""
    if not cores:
        return None
    count = 0
    for part in str(cores).split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            return None
        count += int(last or first) - int(first) + 1
    return count


def _cpu_time(row: Row, price: float) -> Estimate | None:
    cpu_ms = row.estimates["cpu"]
    return None if cpu_ms is None else scaled(cpu_ms, MILLION * price / MS_PER_HOUR)


def _whole_cores(row: Row, price: float, cores: int | None) -> Estimate | None:
    rate = row.estimates["throughput"]
    if rate is None or cores is None or rate.centre <= 0:
        return None
    scale = MILLION * price * cores / S_PER_HOUR
    low, high = (scale / end if end else None for end in (rate.high, rate.low))
    return Estimate(scale / rate.centre, low, high, rate.n)
