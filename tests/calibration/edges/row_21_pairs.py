"""Row 21: all pairs of strategies are compared, and not only those with the baseline."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.analysis.comparisons import compared
from bench.analysis.summary import summarise
from bench.run_file import read_run
from tests.calibration.claims import Figure
from tests.calibration.edges.registry import Edge

RESULTS = Path(__file__).parents[3] / "results"
# batched to onnx, paired from the samples of the committed runs: ratio, low and high
TRUTHS = {
    ("20261120T123610Z-8fc212b", "small"): (1.17, 1.08, 1.26),
    ("20261120T123610Z-8fc212b", "seed"): (1.03, 0.94, 1.13),
    ("20261124T210427Z-db782fb", "small"): (1.11, 0.97, 1.26),
}
ROUNDING = 0.005


def _figures(bases: Mapping[str, str] | None) -> list[Figure]:
    figures = []
    for (folder, payloads), truth in TRUTHS.items():
        found = [
            one.comparison
            for one in compared(summarise(read_run(RESULTS / folder)), bases)
            if (one.strategy, one.base, one.metric) == ("batched", "onnx", "throughput")
            and one.case.payload_class == payloads
        ]
        known = [(one.ratio, one.low or 0.0, one.high or 0.0) for one in found]
        for name, place in (("ratio", 0), ("low", 1), ("high", 2)):
            measured = known[0][place] if known else float("nan")
            holds = abs(measured - truth[place]) <= ROUNDING
            claim = f"batched to onnx, {payloads}, {name}"
            figures.append(Figure(claim, truth[place], measured, "as rounded", holds, len(found)))
    return figures


def measure(folder: Path) -> Sequence[Figure]:
    """Batched against onnx in the committed runs."""
    del folder
    return _figures(None)


def broken(folder: Path) -> Sequence[Figure]:
    """The same if every strategy is compared with torch alone."""
    del folder
    return _figures({"onnx": "torch", "batched": "torch"})


EDGES = [Edge(21, "all pairs of strategies are compared", measure, broken)]
