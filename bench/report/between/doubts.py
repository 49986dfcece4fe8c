"""What makes a comparison of two runs doubtful, whatever its figures say."""

from collections.abc import Sequence

from bench.model import Run
from bench.model.fingerprint import UNKNOWN, Difference, differing_speed
from bench.report import text
from bench.report.summary import Summary

PAYLOADS = ("settings.payloads", "settings.encodings")
MOST_NAMES = 12


def doubts(
    runs: tuple[Run, Run],
    summaries: tuple[Summary, Summary],
    names: tuple[str, str],
    differing: Sequence[Difference],
) -> tuple[str, ...]:
    """One clause each, the gravest first; nothing where the two runs may be compared as they are."""
    base, head = runs
    found = ["both are the same run"] if base == head else []
    if payloads := [one.name for one in differing if one.name.startswith(PAYLOADS)]:
        found.append(f"different payloads ({text.listing(payloads)})")
    others = [one for one in differing if not one.name.startswith(PAYLOADS)]
    if unlike := [one.name for one in others if UNKNOWN not in (one.base, one.head)]:
        found.append(f"different circumstances ({_some(unlike)})")
    if untold := [one.name for one in others if UNKNOWN in (one.base, one.head)]:
        found.append(f"told by one run alone: {_some(untold)}")
    found += _drift(base, head)
    for run, summary, name in zip(runs, summaries, names, strict=True):
        found += [f"{name}: {clause}" for clause in _of_run(run, summary)]
    return tuple(found)


def _drift(base: Run, head: Run) -> list[str]:
    """Whether the machine itself changed speed."""
    speeds = differing_speed(base.ceilings, head.ceilings)
    found = [f"{one.head} in place of {one.base}, {one.name}" for one in speeds]
    told = "the machine itself was another, as its speed against a target that answers at once changed"
    return [f"{told}: {text.listing(found)}"] if found else []


def _of_run(run: Run, summary: Summary) -> list[str]:
    found = []
    if not run.trials:
        found.append("no trial was made")
    elif not summary.valid_trials:
        found.append(f"no valid trial of {len(run.trials)}")
    elif summary.invalid_trials:
        found.append(f"{text.plural(summary.invalid_trials, 'invalid trial')} of {len(run.trials)} left out")
    if summary.missing_trials:
        found.append(f"{text.plural(summary.missing_trials, 'planned trial')} not made")
    if run.trials and summary.one_round:
        found.append("one round, which proves nothing")
    if run.quick:
        found.append("a quick run of short windows")
    return found


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    shown = names[:MOST_NAMES] if more > 0 else names
    return ", ".join(shown) + (f" and {more} more, listed below" if more > 0 else "")
