"""`bench plan`: what `run` would do with the same options, and how long it takes."""

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.model.options import SessionOptions
from bench.verbs.arguments import (
    Places,
    add_extras,
    add_json,
    add_loads,
    add_rounds,
    add_session,
    read_places,
    read_run_session,
)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The session to plan, where its files lie, and whether the plan is printed as JSON."""

    session: SessionOptions
    places: Places
    as_json: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `plan`."""
    for add in (add_session, add_loads, add_rounds, add_extras, add_json):
        add(parser)


def read(args: argparse.Namespace, _: Sequence[str]) -> PlanOptions:
    """The options of `plan`."""
    return PlanOptions(read_run_session(args), read_places(args), args.json)


def do(options: PlanOptions) -> int:
    """Print the steps and the time that they take."""
    from bench.measure.steps.order import TimeEstimate, steps
    from bench.verbs.jobs import make_job

    job = make_job(options.session, options.places)
    if job.registry.file.note:
        sys.stderr.write(f"bench: {job.registry.file.note}\n")
    plan = job.plan
    todo, pace = steps(plan), TimeEstimate(plan)
    minutes = pace.left_s(todo) / 60
    if options.as_json:
        labels = [step.label() for step in todo]
        print(json.dumps({"schema": 1, "steps": labels, "minutes": round(minutes, 1)}, indent=1))
        return 0
    print(f"{len(todo)} steps, about {minutes:.1f} minutes once the images are built:")
    for label, same in itertools.groupby(step.label() for step in todo):
        times = len(list(same))
        print(label if times == 1 else f"{label}, {times} times")
    return 0
