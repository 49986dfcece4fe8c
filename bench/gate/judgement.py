"""From measured batches to a judgement: pure, so that a verdict can be made again from what is on disk."""

from bench.analysis.comparability import Difference, differing_facts, differing_speed
from bench.gate.findings import Judgement, RuleFinding
from bench.gate.limits import judge_limits
from bench.gate.long import judge_longs, uptimes_of
from bench.gate.primary import judge_primaries
from bench.gate.rules import Rules
from bench.gate.values import Batch, not_measured


def judge(rules: Rules, first: Batch, second: Batch | None = None) -> Judgement:
    """Judge head against base by the rules; `second` is a fresh batch of the strategies under suspicion.

    Without it no regression of a primary metric is said, and `Judgement.suspects` names the strategies that
    it is needed for. A rule without data is invalid, never passed.
    """
    batches = [first] if second is None else [first, second]
    differences = tuple(dict.fromkeys(one for batch in batches for one in _differences(batch, rules)))
    return Judgement(
        findings=(
            *judge_primaries(rules.primaries, first, second, differences),
            *judge_longs(rules.primaries, first, second),
            *judge_limits(rules, first, second),
            *map(_new_strategy, first.only_head),
        ),
        base_name=first.base_name,
        head_name=first.head_name,
        paired=first.paired,
        head=first.head,
        differences=differences,
        uptimes=uptimes_of(first),
        not_measured=tuple(one for name in _names(first) for one in not_measured(first, name)),
    )


def _names(batch: Batch) -> list[str]:
    """Head's strategies."""
    return [name for name, one in batch.head.strategies.items() if not (batch.paired and one.is_base)]


def _new_strategy(name: str) -> RuleFinding:
    """A strategy that only head has is neither passed nor failed."""
    return RuleFinding(
        rule=f"strategy.{name}",
        kind="strategy",
        strategy=name,
        metric="",
        verdict="inconclusive",
    )


def _differences(batch: Batch, rules: Rules) -> tuple[Difference, ...]:
    """What makes the timings of two runs incomparable; nothing if both were measured side by side."""
    if batch.paired:
        return ()
    judged = dict.fromkeys(one.strategy for one in rules.primaries)
    facts = differing_facts(batch.base.environment, batch.head.environment, judged)
    return (*facts, *differing_speed(batch.base.ceilings, batch.head.ceilings))
