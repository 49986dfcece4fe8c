"""What speaks against a run's figures: reasons by kind with counts, the gravest first, with remedies."""

import re
from dataclasses import dataclass

from bench.model import Run, Trial

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# for reasons that name none themselves, by a pattern that is found in them
REMEDIES = {
    r"^the host stole [^:]*$": "measure on a quieter host",
    r"^whether the host stole": "`bench doctor` says what this machine tells",
    r"were driven$": "lengthen --window-s",
    r"^the container's accounting could not be read": "see why the container ended",
    r"driver may be the limit$": "lower --concurrency, or give the driver more: --workers, --driver-cores",
    r"driver workers were lost": "see why those workers ended, and measure anew",
    r"^the workers' clocks": "synchronise the hosts' clocks, or drive from one host",
    r"^one round proves nothing": "leave out --quick, or ask for --rounds 6",
    r"^a quick run": "leave out --quick",
    r"^image size is not measurable": "start a Docker engine, and use --runtime compose",
    r"^the driver's ceiling": "judge by the driver's busiest core in report.md",
    r"keeps? answers": "switch off what caches answers, or vary the payloads",
    r"^resumed at": "where that matters, measure anew",
    r"^a start failed": "see the service's log",
    r"could not be removed": "remove it by hand: `docker ps` lists it",
    r"image is not known": "see that the engine can save the image, and its disk is not full",
    r"ran out of memory": "give the container more memory, or less load",
    r"was restarted|exited with": "see the service's log",
    r"^no reason was recorded": "measure anew",
    r"^it was interrupted": "go on with --resume",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """One kind of reason: how many invalid and valid trials have it, and of which strategies these are.

    Both counts are 0 where it concerns the whole run. `example` is the first as it was written down, with its
    figures, an invalid trial's where there is one; `remedy` is empty where the example names its own, or
    none is known.
    """

    kind: str
    invalid: int
    valid: int
    strategies: tuple[str, ...]
    example: str
    remedy: str


def doubts(run: Run) -> tuple[Doubt, ...]:
    """What is held against a run: what voids trials, what concerns all of it, then what only warns."""
    held: dict[str, list[tuple[Trial, str]]] = {}
    for trial in sorted(run.trials, key=lambda one: one.valid):
        for reason in dict.fromkeys(reasons(trial)):
            held.setdefault(kind(reason), []).append((trial, reason))
    of_trials = sorted((_doubt(*one) for one in held.items()), key=lambda one: (-one.invalid, -one.valid))
    whole = [Doubt(kind(text), 0, 0, (), text, remedy(text)) for text in dict.fromkeys(run.warnings)]
    voids = [one for one in of_trials if one.invalid]
    return (*voids, *whole, *(one for one in of_trials if not one.invalid))


def remedy(reason: str) -> str:
    """What to do about a reason that does not say so itself; empty where it does, or nothing is known."""
    return next((words for pattern, words in REMEDIES.items() if re.search(pattern, reason)), "")


def _doubt(name: str, held: list[tuple[Trial, str]]) -> Doubt:
    trials, example = [trial for trial, _ in held], held[0][1]
    invalid = sum(not trial.valid for trial in trials)
    strategies = tuple(dict.fromkeys(trial.strategy for trial in trials))
    return Doubt(name, invalid, len(trials) - invalid, strategies, example, remedy(example))


def reasons(trial: Trial) -> list[str]:
    """All that was held against a trial, as it was written down; an invalid one has at least one reason."""
    found = [*([trial.error] if trial.error else []), *trial.warnings]
    return found or ([] if trial.valid else ["no reason was recorded"])


def kind(reason: str) -> str:
    """The reason without its figures and its remedy: `the host stole …% of the service core's time`."""
    return NUMBER.sub("…", reason.split(":", 1)[0])
