"""The limits: figures that chance does not move, bounded as they are; what is missing is invalid."""

from collections.abc import Sequence

from bench.gate import limit_texts
from bench.gate.metrics import LIMITS, checked, complete
from bench.gate.rules import Limit, Rules
from bench.gate.values import Batch, Finding, Verdict
from bench.model import Run, Trial


def judge_limits(rules: Rules, first: Batch, second: Batch | None) -> list[Finding]:
    """A finding a strategy and limit; trials of a second batch count to those of the first."""
    batches = [first, second] if second else [first]
    return [_finding(rule, name, batches) for name in _names(rules, first) for rule in rules.limits_for(name)]


def _names(rules: Rules, batch: Batch) -> list[str]:
    """Every strategy that head or base has or a rule names; one that stands for all where there is none."""
    own = [name for name in _measured(batch.head) if not batch.base_suffix or not _is_base(name, batch)]
    theirs = [name.removesuffix(batch.base_suffix) for name in _measured(batch.base) if _is_base(name, batch)]
    return list(dict.fromkeys([*own, *theirs, *rules.strategies])) or ["every strategy"]


def _measured(run: Run) -> list[str]:
    return [*run.strategies, *(trial.strategy for trial in run.trials)]


def _is_base(name: str, batch: Batch) -> bool:
    return name.endswith(batch.base_suffix)


def _trials(run: Run, name: str) -> list[Trial]:
    return [trial for trial in run.trials if trial.strategy == name]


def _finding(rule: Limit, name: str, batches: Sequence[Batch]) -> Finding:
    metric, first = LIMITS[rule.metric], batches[0]
    trials = [trial for batch in batches for trial in _trials(batch.head, name)]
    head = metric.of(first.head, name, trials)
    base_name = name + first.base_suffix
    base = metric.of(first.base, base_name, _trials(first.base, base_name))
    most = _most(rule, base)
    whole = metric.unit == "bytes" or complete(trials)
    told = limit_texts.Told(
        rule, metric, name, _verdict(head, most, whole=whole), head, base, checked(trials), len(trials)
    )
    return Finding(
        rule=f"limit.{name}.{rule.metric}.{rule.kind}",
        kind="limit",
        strategy=name,
        metric=rule.metric,
        verdict=told.verdict,
        sentence=limit_texts.sentence(told),
        bound=limit_texts.bound(rule),
        edge=most,
        base=base,
        head=head,
    )


def _verdict(head: float | None, most: float | None, *, whole: bool) -> Verdict:
    """What is beyond the bound stays so, whatever is missing beside it."""
    if head is None or most is None:
        return "invalid"
    if head > most:
        return "regression"
    return "pass" if whole else "invalid"


def _most(rule: Limit, base: float | None) -> float | None:
    """The most that head may have; None where it hangs on a figure of base that is missing."""
    if rule.kind == "most":
        return rule.amount.value
    if base is None:
        return None
    return base * (1 + rule.amount.value) if rule.amount.relative else base + rule.amount.value
