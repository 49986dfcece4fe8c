"""How often the gate says what, by simulation: `python -m tests.gate.rates` prints docs/gate.md's table."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from bench.gate import Batch, Judgement, Verdict, judge
from tests.gate.runs import beside, throughput_rules

STRATEGIES = ("onnx", "torch", "batched")
SLOWED = "onnx"
RULES = throughput_rules(*STRATEGIES)
ROUNDS = 6
# side by side, two equal copies in fresh containers scatter by 1.5%; one after the other by 7 to 10%
SIDE_BY_SIDE, ALTERNATED = 0.015, 0.09
EFFECTS, NOISES, GATES = (0.0, 0.03, 0.05, 0.08, 0.10, 0.15, 0.20), (0.015, 0.03, 0.05, 0.09), 1000


def measured(rng: np.random.Generator, noise: float, effect: float, names: Sequence[str]) -> Batch:
    """A batch whose log ratios scatter by `noise` from round to round; one strategy of head is slowed."""

    def rates(factor: float) -> list[float]:
        return [100 * factor * math.exp(log) for log in rng.normal(0, noise / math.sqrt(2), ROUNDS)]

    head = {name: rates(1 - effect if name == SLOWED else 1.0) for name in names}
    return beside({name: rates(1.0) for name in names}, head)


def gate(rng: np.random.Generator, noise: float, effect: float) -> tuple[Judgement, Judgement]:
    """A whole gate: its judgement of the first batch, and the last one, with a second batch of suspects."""
    batch = measured(rng, noise, effect, STRATEGIES)
    first = judge(RULES, batch)
    if not first.suspects:
        return first, first
    return first, judge(RULES, batch, measured(rng, noise, effect, first.suspects))


def verdicts(seed: int, noise: float, effect: float, gates: int) -> Counter[Verdict]:
    """What was said of the slowed strategy in so many gates."""
    rng = np.random.default_rng(seed)
    return Counter(gate(rng, noise, effect)[1].findings[0].verdict for _ in range(gates))


def main() -> None:
    """Print the table, in Markdown."""
    print("| slowed by | " + " | ".join(f"noise {100 * noise:g}%" for noise in NOISES) + " |")
    print("| ---: |" + " ---: |" * len(NOISES))
    for effect in EFFECTS:
        cells = []
        for place, noise in enumerate(NOISES):
            found = verdicts(place, noise, effect, GATES)
            shares = (found[verdict] / GATES for verdict in ("regression", "inconclusive", "pass"))
            cells.append(" / ".join(f"{100 * share:.1f}" for share in shares))
        print(f"| {100 * effect:g}% | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
