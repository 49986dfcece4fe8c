"""Runs of schemas 1 to 3, which committed results have, brought into the shape of today's schema.

Schemas 1 and 2 kept a doubt as a sentence. This module is the only place that reads such a sentence, and it
does so for old files alone.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.model import SCHEMA_VERSION, Cause, Doubt, DoubtCode, Twin
from bench.model.subjects import SUFFIXES

Json = dict[str, Any]
OLDER_VERSIONS = (1, 2, 3)
WITH_SENTENCES = (1, 2)


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a sentence was that an older schema kept; `pattern` is found in it.

    Where it ends with the `remedy`, behind a colon or a semicolon, it is cut off there.
    """

    pattern: str
    code: DoubtCode
    cause: Cause
    remedy: str
    voids: bool = True


LOG = "see the service's log"
STEADY = "lengthen --warmup-s or --window-s"
WORKERS = "see why those workers ended, and measure again"
MORE_DRIVER = "lower --concurrency, or give the driver more: --workers, --driver-cores"

OF_TRIALS = (
    Sentence(r"^it was interrupted", "interrupted", "harness", "go on with --resume"),
    Sentence(r"^no request was answered correctly", "nothing_answered", "service", LOG),
    Sentence(r"^\d+ wrong answers of ", "wrong_answers", "service", LOG),
    Sentence(r"^\d+ failed requests of ", "failed_requests", "service", LOG),
    Sentence(r" requests had no right answer: ", "faults_allowed", "service", LOG, voids=False),
    Sentence(r"the driver's clocks disagree", "clocks_disagree", "driver", "synchronise its hosts"),
    Sentence(r"^\d+ requests of the window were", "requests_lost", "driver", "look for a worker that died"),
    Sentence(r"^the driver was late: ", "late_sends", "driver", "lower the load or add --workers"),
    Sentence(r"^Little's law is off", "littles_law", "driver", "lengthen --window-s"),
    Sentence(
        r"^in a tenth of the window",
        "idle_clients",
        "driver",
        "give it a core of its own, or lower --concurrency",
    ),
    Sentence(r"^overloaded: ", "overloaded", "service", "lower the rate"),
    Sentence(r" answers are too few to see whether", "too_few_answers", "harness", STEADY),
    Sentence(r"^not steady: ", "not_steady", "service", STEADY),
    Sentence(
        r"^the container ran out of memory",
        "out_of_memory",
        "service",
        "give the container more memory, or less load",
    ),
    Sentence(r"^the container was restarted ", "restarted", "service", LOG),
    Sentence(r"^the (container|process) exited with ", "exited", "service", LOG),
    Sentence(r"^the container's accounting", "accounting_unread", "host", "see why the container ended"),
    Sentence(r"^the kernel throttled the container", "throttled", "host", "lift its CPU limit"),
    Sentence(r"^the host stole .*: measure on a quieter one$", "stolen", "host", "measure on a quieter one"),
    Sentence(r"^the host stole ", "stolen", "host", "measure on a quieter host", voids=False),
    Sentence(
        r"^whether the host stole",
        "stolen_unknown",
        "host",
        "`bench doctor` says what this machine tells",
        voids=False,
    ),
    Sentence(
        r" driver workers were lost: ",
        "workers_lost",
        "driver",
        "see why those workers ended, and measure again",
    ),
    Sentence(r"driver may be the limit$", "driver_may_limit", "driver", MORE_DRIVER, voids=False),
    Sentence(
        r"^a driver process used ",
        "driver_busy",
        "driver",
        "give it more with --workers and --driver-cores",
        voids=False,
    ),
    Sentence(
        r"^the workers' clocks may be ",
        "clocks_apart",
        "driver",
        "synchronise the hosts' clocks, or drive from one host",
        voids=False,
    ),
)

OF_RUNS = (
    Sentence(r"^the run is not complete", "incomplete", "harness", "measure it again", voids=False),
    Sentence(r"^resumed at ", "resumed", "harness", "if that matters, measure again", voids=False),
    Sentence(
        r"^one round proves nothing",
        "one_round",
        "harness",
        "leave out --quick, or ask for --rounds 6",
        voids=False,
    ),
    Sentence(r"^a quick run", "quick", "harness", "leave out --quick", voids=False),
    Sentence(
        r"^driver and service share a core", "shared_core", "host", "use two cores or more", voids=False
    ),
    Sentence(
        r"^image size is not measurable",
        "no_images",
        "host",
        "start a Docker engine, and use --runtime compose",
        voids=False,
    ),
    Sentence(
        r"image is not known: ",
        "size_unknown",
        "host",
        "see that the engine can save the image, and its disk is not full",
        voids=False,
    ),
    Sentence(
        r"^the driver's ceiling ",
        "ceiling_unknown",
        "harness",
        "judge by the driver's busiest core in report.md",
        voids=False,
    ),
    Sentence(r"^whether .* keeps answers is not known", "caching_unknown", "harness", LOG, voids=False),
    Sentence(
        r" times as fast as varied ones: ",
        "answers_cached",
        "service",
        "switch off what caches answers, or vary the payloads",
        voids=False,
    ),
    Sentence(
        r" copies of images wrongly",
        "copies_wrong",
        "service",
        "see whether it computes each answer from its own image",
        voids=False,
    ),
    Sentence(r"^a start failed: ", "start_failed", "service", LOG, voids=False),
    Sentence(
        r" could not be removed: ",
        "not_removed",
        "host",
        "remove it by hand: `docker ps` lists it",
        voids=False,
    ),
    Sentence(r": (its|a) loop ", "loop_failed", "service", LOG, voids=False),
)

START_FAILED = Sentence("", "start_failed", "service", LOG)
# the sentence of an incomplete run ends with the command that goes on with it
GO_ON = re.compile(r"^(?P<text>.*); (?P<remedy>go on with `[^`]*`)$")


def upgrade(raw: Json) -> Json:
    """A document of an older schema as one of today's; what has a wrong type stays, and is refused later.

    Raises TypeError, AttributeError or KeyError for a document of another shape.
    """
    run = _from_sentences(raw) if raw["schema_version"] in WITH_SENTENCES else raw
    trials = _each(run.get("trials"), _counted_by_end)
    return {**run, "schema_version": SCHEMA_VERSION, "trials": trials}


def _counted_by_end(raw: Json) -> Json:
    """A trial of a schema before 4: its requests were counted by when they ended, and overload voided it."""
    trial = {**raw, "counted_by": "ended"}
    if not isinstance(trial.get("doubts"), list):
        return trial
    overload = [one for one in trial["doubts"] if one["code"] == "overloaded"]
    others = [one for one in trial["doubts"] if one["code"] != "overloaded"]
    trial["doubts"] = [{**one, "voids": False} if one in overload else one for one in trial["doubts"]]
    if trial.get("refused") and not overload:
        text = f"overloaded: {trial['refused']} of {trial.get('requests')} requests were refused"
        doubt = Doubt("overloaded", text, "lower the rate", voids=False, cause="service")
        trial["doubts"].append(asdict(doubt))
    if not trial.get("error") and any(one["voids"] for one in overload):
        # a sentence that nothing knows any more may be what voided it
        trial["valid"] = not any(one["voids"] or one["code"] == "other" for one in others)
    return trial


def _from_sentences(raw: Json) -> Json:
    """A document of schema 1 or 2 as one of schema 3."""
    run = dict(raw)
    run["doubts"] = _each(run.pop("warnings", []), lambda text: _doubt(text, OF_RUNS))
    run["trials"] = _each(run.get("trials"), _trial)
    run["objectives"] = _each(run.get("objectives", []), _objective)
    if isinstance(run.get("environment"), dict):
        run["environment"] = _environment(run["environment"])
    if isinstance(run.get("strategies"), dict):
        run["strategies"] = {
            name: _strategy(name, one, run["strategies"]) for name, one in run["strategies"].items()
        }
    return run


def _each(values: Any, change: Any) -> Any:
    return [change(value) for value in values] if isinstance(values, list) else values


def _trial(raw: Json) -> Json:
    trial = dict(raw)
    trial["doubts"] = _each(trial.pop("warnings", []), lambda text: _doubt(text, OF_TRIALS))
    if isinstance(trial.get("load"), dict):
        trial["load"] = _load(trial)
    if isinstance(trial.get("error"), str):
        trial["error"] = _doubt(trial["error"], (*OF_TRIALS[:1], START_FAILED))
    return trial


def _load(trial: Json) -> Json:
    """The load, which those schemas kept with a name and without the windows that the trial has."""
    known = {key: value for key, value in trial["load"].items() if key != "name"}
    return {"warmup_s": trial.get("warmup_s"), "window_s": trial.get("window_s"), **known}


def _objective(raw: Json) -> Json:
    known = not raw.get("why_none", "").startswith("not known")
    return {**raw, "known": known}


def _environment(raw: Json) -> Json:
    """The environment with its settings by the names and in the kinds of today."""
    settings = raw.get("settings")
    if not isinstance(settings, dict):
        return raw
    fresh = {"encodings" if key == "encoding" else key: value for key, value in settings.items()}
    for key, value in fresh.items():
        if key in ("encodings", "clients") and not isinstance(value, list):
            fresh[key] = [value]
    return {**raw, "settings": fresh}


def _strategy(name: str, raw: Any, all_names: Collection[str]) -> Any:
    """A strategy's result with its twin, which those schemas showed by the end of its name alone."""
    twins = {of: side for side in SUFFIXES if (of := name.removesuffix(SUFFIXES[side])) != name}
    known = [Twin(of, side) for of, side in twins.items() if side == "base" or of in all_names]
    return {**raw, "twin": asdict(known[0])} if known and isinstance(raw, dict) else raw


def _doubt(text: str, sentences: tuple[Sentence, ...]) -> Mapping[str, Any]:
    """The doubt that a sentence tells of; a doubt with the code "other" if the sentence is not known."""
    found = next((one for one in sentences if re.search(one.pattern, text)), None)
    if found is None:
        return asdict(Doubt("other", text, "", voids=False, cause="harness"))
    rest = GO_ON.match(text)
    remedy = rest["remedy"] if rest else found.remedy
    alone = text.removesuffix(f"; {remedy}").removesuffix(f": {remedy}")
    return asdict(Doubt(found.code, alone, remedy, voids=found.voids, cause=found.cause))
