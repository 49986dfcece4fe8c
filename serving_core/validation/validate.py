"""Trying each configured model and its handler before they serve: python -m onnx_serving validate."""

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

from serving_core.engine import Engine
from serving_core.errors import RequestError, StartError
from serving_core.loading import Loaded, load_models, signature_of
from serving_core.metrics import Metrics
from serving_core.settings import Settings
from serving_core.validation import checks
from serving_core.validation.checks import Trial, Wrong

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
    """Write a line for each check of each model to `sink`; return 0 where all are ok, else 1."""
    good = True
    try:
        for loaded in load_models(make_engine, settings, Metrics()):
            print(f"ok {loaded.name}: loads and warms up", file=sink)
            good &= _try(loaded, settings, sink)
    except StartError as error:
        print(f"wrong: {error}", file=sink)
        good = False
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is what is to be told
        print(
            f"wrong: loading or warming up {_told(error)}: mend load, or what serves the example", file=sink
        )
        good = False
    return 0 if good else 1


def _try(loaded: Loaded, settings: Settings, sink: TextIO) -> bool:
    """Make all checks that still make sense; tell whether all are ok."""
    declared = partial(checks.check_declared, loaded.handler)
    if not _one("inputs and outputs are declared", declared, loaded, sink):
        return False
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
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is what is to be told
        fault = f"it {_told(error)}: see that place"
    else:
        print(f"ok {loaded.name}: {title}", file=sink)
        return True
    print(f"wrong: {loaded.name}: {title}: no, {fault}", file=sink)
    return False


def _told(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    cause = " ".join(f"{type(error).__name__}: {error}".split())
    return f"raises {cause} ({Path(place.filename).name}:{place.lineno})"
