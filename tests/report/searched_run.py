"""A search for an objective made by hand: two strategies hold it up to a rate, a third at none."""

import dataclasses

from bench.model import OpenLoad, Probe, Run, SloResult, Trial
from tests.running.doubts import doubt

BOUND_MS = 100.0
# of each strategy its capacity, and the rates of its trials with the p99 in ms that each found
AT_HELD = {"torch": (60, 62, 64, 61), "onnx": (70, 150, 72, 71, 73)}
TRIED: dict[str, tuple[float, list[tuple[float, float]]]] = {
    "torch": (100.0, [(10, 15), (100, 900), (100, 950), (31.6, 20), (75, 240), (75, 260)]),
    "onnx": (231.0, [(23.1, 8), (231, 700), (231, 720), (180, 190), (180, 185)]),
    "batched": (138.0, [(13.8, 130), (13.8, 140), (43.6, 150), (43.6, 155), (13.8, 131), (13.8, 135)]),
}
HELD = {"torch": 56.2, "onnx": 137.0, "batched": None}


def searched(run: Run) -> Run:
    """The run with the trials of a search in place of its own."""
    results, trials = [], []
    for name, (capacity, others) in TRIED.items():
        tried = others + [(HELD[name] or 0.0, float(p99)) for p99 in AT_HELD.get(name, ())]
        probes = []
        for place, (rate, p99) in enumerate(tried):
            number = 1 + sum(earlier == rate for earlier, _ in tried[:place])
            trials.append(_trial(run, name, rate, p99, number))
            held = p99 <= BOUND_MS
            why = "" if held else "4.1% of the requests were not within 100 ms"
            probes.append(Probe(rate, number, p99, rate * (0.995 if held else 0.6), rate, held, why))
        rate_held = HELD[name]
        results.append(
            SloResult(
                name,
                "small",
                "json",
                0.99,
                BOUND_MS,
                capacity,
                rate_held,
                None if rate_held is None else round(rate_held * 0.995, 3),
                tuple(probes),
                "" if rate_held is not None else "never held: not at 13.8/s in 4 trials",
            )
        )
    return dataclasses.replace(
        run,
        command="python -m bench slo --p99 100ms --payloads small",
        trials=tuple(trials),
        planned_trials=0,
        objectives=tuple(results),
        price_per_core_hour=0.04,
    )


def _trial(run: Run, name: str, rate: float, p99: float, number: int) -> Trial:
    like = next(one for one in run.trials if (one.strategy, one.payload_class) == (name, "small"))
    capacity = TRIED[name][0]
    answered = min(rate, 0.98 * capacity)
    load = OpenLoad(rate, 2.0, 8.0)
    grows = doubt("overloaded: response times grow from 100 to 900 ms", "overloaded", cause="service")
    return dataclasses.replace(
        like,
        round=number,
        load=load,
        window_s=8.0,
        requests=round(rate * 8),
        ok=round(answered * 8),
        throughput_rps=answered,
        latency_ms=dataclasses.replace(like.latency_ms, p50=p99 / 3, p95=p99 / 1.5, p99=p99),
        refused=0,
        cpu_ms_per_request=1000 / capacity * (1 + 0.01 * number),
        samples=f"samples/{name}-{load.name}-{number}.parquet",
        doubts=(dataclasses.replace(grows, voids=False),) if rate >= capacity else (),
    )
