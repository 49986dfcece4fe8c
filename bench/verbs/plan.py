"""`bench plan`: what a verb that measures would do with the same options, and how long it takes."""

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.verbs import aa, gate, run, slo
from bench.verbs.arguments import (
    MeasureOptions,
    Voice,
    add_extras,
    add_json,
    add_loads,
    add_rounds,
    add_session,
    public_command,
    read_places,
    read_run_session,
)
from bench.verbs.vary_arguments import add_vary

if TYPE_CHECKING:  # --help needs none of it
    from bench.measure.outlook import Outlook

# the verbs that can be planned, with their lines in --help
PLANNED = {
    "run": (run, "what `run` would do, as without a verb"),
    "slo": (slo, "what `slo` would do"),
    "aa": (aa, "what `aa` would do"),
    "gate": (gate, "what `gate` would do"),
}
READ = {"slo": slo.read, "aa": aa.read}


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The options of the verb that is planned, and whether the plan is printed as JSON."""

    options: MeasureOptions | gate.GateOptions
    as_json: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `plan`: those of `run`, and the verbs with their own."""
    for add in (add_session, add_vary, add_loads, add_rounds, add_extras, add_json):
        add(parser)
    verbs = parser.add_subparsers(
        dest="planned", metavar="[VERB]", help="the verb, and after it the verb's own options (run)"
    )
    for name, (verb, words) in PLANNED.items():
        verb.declare(verbs.add_parser(name, allow_abbrev=False, help=words))


def read(args: argparse.Namespace, given: Sequence[str]) -> PlanOptions:
    """The options of `plan`; raises UsageError as the verb that is planned would."""
    name = args.planned
    if name is None:
        session, voice = read_run_session(args), Voice(quiet=False, as_json=args.json)
        measured = MeasureOptions(session, read_places(args), voice, args.build, public_command(given))
        return PlanOptions(measured, args.json)
    if given[1] != name:
        raise UsageError(f"options follow the verb that is planned: `plan {name} {given[1]} …`")
    if name == "gate":
        options = gate.read(args, given[1:])
        if options.format not in ("text", "json"):
            raise UsageError(f"a plan is text or JSON: leave out --format {options.format}")
        return PlanOptions(options, options.format == "json")
    if name == "run" and args.resume is not None:
        raise UsageError("what is left of a run is not planned: `run --resume` says first how long it takes")
    found = run.read(args, given[1:]).measure if name == "run" else READ[name](args, given[1:])
    return PlanOptions(found, args.json)


def do(options: PlanOptions) -> int:
    """Print the steps and the time that they take."""
    outlook = _outlook(options)
    print(_as_json(outlook) if options.as_json else _as_text(outlook))
    return 0


def _outlook(options: PlanOptions) -> "Outlook | None":
    """What would be done; None if nothing is measured. Raises UsageError as the verb does at its begin."""
    from bench.measure.outlook import outlook
    from bench.verbs.jobs import machine_cores, make_job, say_what_is_missing, say_what_it_cannot_conclude

    measured = options.options
    if isinstance(measured, gate.GateOptions):
        found = gate.planned(measured)
        return None if found is None else outlook(found.plan, batches=found.batches)
    job = make_job(measured.session, measured.places)
    machine_cores(measured.session.machine)
    say_what_is_missing(job.registry)
    say_what_it_cannot_conclude(job)
    return outlook(job.plan)


def _as_json(outlook: "Outlook | None") -> str:
    if outlook is None:
        return json.dumps({"schema": 1, "steps": [], "minutes": 0.0, "most_minutes": 0.0}, indent=1)
    told = {
        "schema": 1,
        "steps": list(outlook.labels),
        "minutes": round(outlook.usual_s / 60, 1),
        "most_minutes": round(outlook.most_s / 60, 1),
    }
    return json.dumps(told, indent=1)


def _as_text(outlook: "Outlook | None") -> str:
    if outlook is None:
        return "nothing is measured: what was measured before is judged, within seconds"
    steps = "1 step" if len(outlook.labels) == 1 else f"{len(outlook.labels)} steps"
    lines = [f"{steps}, about {outlook.usual_s / 60:.1f} minutes once the images are built:"]
    for label, same in itertools.groupby(outlook.labels):
        times = len(list(same))
        lines.append(label if times == 1 else f"{label}, {times} times")
    lines.append(f"at most {outlook.most_s / 60:.1f} minutes, if {outlook.why_most}")
    return "\n".join(lines)
