"""What makes a comparison of two runs doubtful, whatever its figures say."""

from collections.abc import Sequence

from bench.analysis.comparability import UNKNOWN, Difference
from bench.analysis.run_comparison import RunComparison
from bench.analysis.summary import Summary
from bench.model import Run
from bench.report import text

PAYLOADS = ("settings.payloads", "settings.encodings")
MOST_NAMES = 12


def doubts(compared: RunComparison) -> tuple[str, ...]:
    """One clause each, the gravest first; nothing where the two runs may be compared as they are."""
    differing = compared.differing
    found = ["both are the same run"] if compared.base == compared.head else []
    if payloads := [one.name for one in differing if one.name.startswith(PAYLOADS)]:
        found.append(f"different payloads ({text.listing(payloads)})")
    others = [one for one in differing if not one.name.startswith(PAYLOADS)]
    if unlike := [one.name for one in others if UNKNOWN not in (one.base, one.head)]:
        found.append(f"different circumstances ({_some(unlike)})")
    if untold := [one.name for one in others if UNKNOWN in (one.base, one.head)]:
        found.append(f"told by one run alone: {_some(untold)}")
    found += _drift(compared.speeds)
    for name, run, summary in (
        (compared.base_name, compared.base, compared.base_summary),
        (compared.head_name, compared.head, compared.head_summary),
    ):
        found += [f"{name}: {clause}" for clause in _of_run(run, summary)]
    return tuple(found)


def _drift(speeds: Sequence[Difference]) -> list[str]:
    """Whether the machine itself changed speed."""
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
