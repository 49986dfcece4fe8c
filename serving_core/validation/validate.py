"""Trying each configured model and its handler before they serve: python -m onnx_serving validate."""

from collections.abc import Callable
from functools import partial
from typing import TextIO

from serving_core.engine import Engine
from serving_core.errors import RequestError, StartError
from serving_core.handler_loading import told
from serving_core.loading import Loaded, load_models, signature_of
from serving_core.metrics import Metrics
from serving_core.settings import Settings
from serving_core.validation import checks
from serving_core.validation.checks import Trial, Unknown, Wrong

# Where one of these is wrong, what follows would only repeat it.
FIRST: dict[str, Callable[[Trial], None]] = {
    "the example is what the inputs declare": checks.check_example,
    "an item alone gives the outputs declared": checks.check_alone,
}
THEN: dict[str, Callable[[Trial], None]] = {
    "a full batch gives each item what it gets alone": checks.check_together,
    "several threads at once give each item what it gets alone": checks.check_at_once,
    "/predict/ answers in JSON and msgpack": checks.check_answer,
    "the Open Inference Protocol carries inputs and outputs, in JSON and binary": checks.check_inference,
}


def validate(make_engine: Callable[[], Engine], settings: Settings, sink: TextIO) -> int:
    """Write a line for each check of each model to `sink`; return 1 where one is wrong, else 0."""
    good = True
    try:
        for loaded in load_models(make_engine, settings, Metrics()):
            print(f"ok {loaded.name}: loads, declares inputs and outputs, and warms up", file=sink)
            good &= _try(loaded, settings, sink)
    except StartError as error:
        print(f"wrong: {error}", file=sink)
        good = False
    return 0 if good else 1


def _try(loaded: Loaded, settings: Settings, sink: TextIO) -> bool:
    """Make all checks that still make sense; tell whether all are ok."""
    signature = signature_of(loaded, settings.max_items)
    trial = Trial(signature, loaded.handler, settings.max_batch, settings.max_pixels)
    if not all(_one(title, partial(check, trial), loaded, sink) for title, check in FIRST.items()):
        return False
    found = [_one(title, partial(check, trial), loaded, sink) for title, check in THEN.items()]
    return all(found)


def _one(title: str, check: Callable[[], object], loaded: Loaded, sink: TextIO) -> bool:
    try:
        check()
    except Wrong as wrong:
        fault = str(wrong)
    except RequestError as refusal:
        fault = f"the example is refused ({refusal.status}: {refusal.message}): take it, or give another"
    except Unknown as unknown:
        print(f"unknown: {loaded.name}: {title}: {unknown}", file=sink)
        return True
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises is what is to be told
        fault = f"it {told(error)}: see that place"
    else:
        print(f"ok {loaded.name}: {title}", file=sink)
        return True
    print(f"wrong: {loaded.name}: {title}: no, {fault}", file=sink)
    return False
