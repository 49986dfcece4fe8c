"""The limits: figures that chance does not move, bounded as they are; what is missing is invalid."""

from collections.abc import Sequence

from bench.analysis.image_overlap import pytorch_build
from bench.gate.findings import LimitBasis, RuleFinding, Verdict
from bench.gate.limit_metrics import (
    LIMITS,
    LimitMetric,
    checked,
    compared_trials,
    complete,
    held_out_pictures,
    wrong_parity,
)
from bench.gate.rules import Limit, Rules
from bench.gate.values import (
    Batch,
    Problem,
    Sides,
    base_names,
    not_measured,
    unfinished,
    unfinished_run,
)
from bench.model import Run, Trial

# what is counted in the trials, and not a property of the image
COUNTED = ("wrong_answers", "error_rate")
UNCHECKED = (
    "nothing says which of its answers are right: record the right ones with "
    "`python -m bench requests record`"
)


def judge_limits(rules: Rules, first: Batch, second: Batch | None) -> list[RuleFinding]:
    """A finding a strategy and limit; trials of a second batch count to those of the first."""
    batches = [first, second] if second else [first]
    return [_finding(rule, name, batches) for name in _names(rules, first) for rule in rules.limits_for(name)]


def _names(rules: Rules, batch: Batch) -> list[str]:
    """Every strategy that head has or a rule names; a name that stands for all if there are none."""
    theirs = base_names(batch.head).values() if batch.paired else ()
    own = [name for name in _measured(batch.head) if name not in theirs]
    return list(dict.fromkeys([*own, *rules.strategies])) or ["every strategy"]


def _measured(run: Run) -> list[str]:
    return [*run.strategies, *(trial.strategy for trial in run.trials)]


def _trials(run: Run, name: str) -> list[Trial]:
    longs = (one.trial for one in run.longs)
    return [trial for trial in (*run.trials, *longs) if trial.strategy == name]


def _finding(rule: Limit, name: str, batches: Sequence[Batch]) -> RuleFinding:
    metric, first = LIMITS[rule.metric], batches[0]
    trials = [trial for batch in batches for trial in _trials(batch.head, name)]
    sides = _sides(rule, metric, first, name, trials)
    most = _most(rule, sides.base)
    gone = not_measured(first, name)
    lost = next((one for one in gone if rule.kind == "increase" or one.who == "head"), None)
    cut = unfinished(first, name) if rule.kind == "increase" else unfinished_run("head", first.head, name)
    parity = wrong_parity(first.head, name)
    shared = _other_build(rule, metric, first, name)
    if not shared and first.paired:
        shared = _shared_fault(rule, sides, most)
    answers = checked(compared_trials(first.head, trials))
    if metric.unit == "share" and not metric.of_trials:
        answers = held_out_pictures(first.head, name)
    whole = not cut and not lost and (not metric.of_trials or complete(trials))
    if sides.head is None or most is None:
        # without base no trial of head was made either
        why = lost or (cut if cut and cut.doubt else None) or next(iter(gone), None)
        problem: Problem = why or _lacks(metric, sides, first, name, trials)
    else:
        problem = shared or lost or cut or ""
    return RuleFinding(
        rule=f"limit.{name}.{rule.metric}.{rule.kind}",
        kind="limit",
        strategy=name,
        metric=rule.metric,
        verdict=_verdict(sides.head, most, whole=whole, shared=bool(shared)),
        basis=LimitBasis(rule, parity.answers if parity else answers, len(trials), problem),
        edge=most,
        base=sides.base,
        head=sides.head,
        notes=_tolerances(first, name) if rule.metric == "wrong_answers" else (),
    )


def _tolerances(batch: Batch, name: str) -> tuple[str, ...]:
    """That answers of head count as right that would be wrong of base, or the other way round."""
    base, head = batch.base.strategies.get(batch.name_in_base(name)), batch.head.strategies.get(name)
    if base is None or head is None or base.parity is None or head.parity is None:
        return ()
    allowed, before = head.parity.tolerance, base.parity.tolerance
    if allowed == before:
        return ()
    return (
        f"a probability of head's answers may be {allowed:g} off, one of base's {before:g}: wrong answers "
        "are not counted alike; give both the same label bench.tolerance",
    )


def _sides(rule: Limit, metric: LimitMetric, batch: Batch, name: str, trials: Sequence[Trial]) -> Sides:
    """The figures of both sides, head's over these trials."""
    if rule.kind == "increase" and metric.against is not None:
        return metric.against(batch, name)
    base_name = batch.name_in_base(name)
    base = metric.of(batch.base, base_name, _trials(batch.base, base_name))
    return Sides(base, metric.of(batch.head, name, trials))


def _lacks(metric: LimitMetric, sides: Sides, batch: Batch, name: str, trials: Sequence[Trial]) -> str:
    """Why a side has no figure although something was measured; else empty."""
    who, run, its_name = "head", batch.head, name
    if sides.head is not None:
        who, run, its_name = "base", batch.base, batch.name_in_base(name)
    if its_name not in _measured(run):
        return f"{who} does not have it"
    if metric.name == "wrong_answers" and sides.head is None and checked(trials):
        return UNCHECKED
    result = run.strategies.get(its_name)
    told = result is not None and (result.image is not None or metric.unit != "bytes")
    return metric.unknown.format(who=who) if told else ""


def _other_build(rule: Limit, metric: LimitMetric, batch: Batch, name: str) -> str:
    """Why the images' bytes are not compared: builds of PyTorch differ by gigabytes, whatever changed."""
    base = batch.base.strategies.get(batch.name_in_base(name))
    head = batch.head.strategies.get(name)
    if metric.unit != "bytes" or rule.kind != "increase" or not (base and base.image and head and head.image):
        return ""
    before, now = pytorch_build(base.image), pytorch_build(head.image)
    if before is None or now is None or before == now:
        return ""
    return (
        f"base has PyTorch's build for {before} and head the one for {now}: "
        "set WHEELS_DIR or TORCH_INDEX so that head is built from the same"
    )


def _shared_fault(rule: Limit, sides: Sides, most: float | None) -> str:
    """Where base, measured in the same seconds, is beyond a bound of head's too, it is not head's doing."""
    if rule.kind != "most" or rule.metric not in COUNTED or most is None:
        return ""
    both = sides.base is not None and sides.head is not None and min(sides.base, sides.head) > most
    return "base is beyond the limit too: mend what ails both, and measure again" if both else ""


def _verdict(head: float | None, most: float | None, *, whole: bool, shared: bool) -> Verdict:
    """What is beyond the bound stays so, whatever is missing beside it; but for what base does too."""
    if head is None or most is None or shared:
        return "invalid"
    if head > most:
        return "regression"
    return "pass" if whole else "invalid"


def _most(rule: Limit, base: float | None) -> float | None:
    """The most that head may have; None if it depends on a missing figure of base."""
    if rule.kind == "most":
        return rule.amount.value
    if base is None:
        return None
    return base * (1 + rule.amount.value) if rule.amount.relative else base + rule.amount.value
