"""What a million requests cost, from the price of a core-hour that the user gave."""

from bench.analysis.costs import core_count
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row
from bench.report import text
from bench.report.text import MISSING, table
from bench.statistics import Estimate

MILLION = 1e6
MS_PER_HOUR = 3.6e6
S_PER_HOUR = 3600.0

COST = (
    "At the load that stands for the run. *CPU time* is CPU-ms a request times the price: of the service "
    "alone, as if every idle moment of its cores were sold to somebody else. *Whole core* is what the "
    "service's cores cost while they answer at the rate measured. Both are in the currency of the price."
)


def cost(analysis: RunAnalysis) -> list[str]:
    """The price of a million requests, where the run knows a core-hour's."""
    run, summary = analysis.run, analysis.summary
    price = run.price_per_core_hour
    if price is None or not summary.rows:
        return []
    cores = core_count(run.environment.get("service_cores"))
    rows = [
        [
            row.strategy,
            summary.case_label(row.case),
            text.money(_scaled(row.estimates["cpu"], MILLION * price / MS_PER_HOUR)),
            _whole_core(row, price, cores),
        ]
        for row in summary.rows.values()
        if row.case in summary.focus
    ]
    what = "whole core" if cores == 1 else f"whole cores ({cores or MISSING})"
    header = ("strategy", "case", "CPU time, a million requests", f"{what}, a million requests")
    return [f"At {price:g} a core-hour:", "", *table(header, rows, 2), "", COST]


def _whole_core(row: Row, price: float, cores: int | None) -> str:
    rate = row.estimates["throughput"]
    if rate is None or cores is None or rate.centre <= 0:
        return MISSING
    scale = MILLION * price * cores / S_PER_HOUR
    low, high = (scale / end if end else None for end in (rate.high, rate.low))
    return text.money(Estimate(scale / rate.centre, low, high, rate.n))


def _scaled(found: Estimate | None, by: float) -> Estimate | None:
    if found is None:
        return None
    low, high = (None if end is None else end * by for end in (found.low, found.high))
    return Estimate(found.centre * by, low, high, found.n)
