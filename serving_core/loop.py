"""The in-process loop: a service's own pipeline without HTTP, which shows how much time serving adds.

Beside the whole pipeline it can run two parts alone: the preparation of items, and the model on items that
are prepared.
"""

import base64
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any, BinaryIO, Literal

import orjson
from pydantic import BaseModel, Field, ValidationError

from serving_core.calls import Parse
from serving_core.codecs import encodings
from serving_core.dispatch import Pipeline
from serving_core.errors import RequestError, StartError
from serving_core.loading import load_models, signature_of
from serving_core.metrics import Metrics
from serving_core.service import MakeEngine
from serving_core.settings import Settings

Part = Literal["prepare", "infer"]
# does one step of a part; its argument is the number of items done before, its result the number done now
Step = Callable[[int], int]


class LoopOrder(BaseModel):
    """What to run: request bodies in base64, cycled over for `seconds` after `warmup_seconds`.

    Each of `parts` runs alone afterwards, for `part_seconds`.
    """

    seconds: float = Field(gt=0)
    warmup_seconds: float = Field(ge=0)
    content_type: str
    bodies: list[str] = Field(min_length=1)
    parts: list[Part] = []
    part_seconds: float = Field(1.0, gt=0)


def run_loop(make_engine: MakeEngine, settings: Settings, source: BinaryIO, sink: BinaryIO) -> None:
    """Read a LoopOrder in JSON, run it one image at a time, write one line of JSON; raises StartError."""
    try:
        order = LoopOrder.model_validate_json(source.read())
        bodies = [base64.b64decode(body, validate=True) for body in order.bodies]
    except (ValidationError, ValueError) as error:
        raise StartError(f"standard input is not a loop order: {' '.join(str(error).split())}") from None
    metrics = Metrics()
    loaded = next(load_models(make_engine, settings, metrics))
    pipeline = Pipeline(loaded.handler, metrics.model(loaded.name))
    headers = {b"content-type": order.content_type.encode()}
    parse = encodings.choose(headers, b"", signature_of(loaded, settings.max_items))
    answers = [orjson.Fragment(pipeline.run(parse, body).body) for body in bodies]

    def whole(done: int) -> int:
        pipeline.run(parse, bodies[done % len(bodies)])
        return 1

    report = _timed(whole, order.warmup_seconds, order.seconds)
    parts = {
        part: _run_part(part, pipeline, parse, bodies, order.part_seconds)
        for part in dict.fromkeys(order.parts)
    }
    sink.write(orjson.dumps({**report, "answers": answers, "parts": parts}) + b"\n")
    sink.flush()


def _run_part(
    part: Part, pipeline: Pipeline, parse: Parse, bodies: list[bytes], seconds: float
) -> dict[str, Any]:
    """Run one part alone, after a warm-up of a third of its time; its requests are items."""
    if part == "prepare":
        return _timed(
            lambda done: len(_prepared(pipeline, parse, bodies[done % len(bodies)])), seconds / 3, seconds
        )
    batching = pipeline.handler.batching
    size = batching.size if batching else 1
    items = [item for body in bodies for item in _prepared(pipeline, parse, body)]
    batches = [list(islice(cycle(items), start, start + size)) for start in range(0, len(items), size)]

    def infer(done: int) -> int:
        pipeline.infer(batches[done // size % len(batches)])
        return size

    return {**_timed(infer, seconds / 3, seconds), "batch_size": size}


def _prepared(pipeline: Pipeline, parse: Parse, body: bytes) -> list[Any]:
    """Return the model's input for each item of a request; raises RequestError if an item cannot be used."""
    prepared = []
    for item in pipeline.parse(parse, body).items:
        if isinstance(item, RequestError):
            raise item
        prepared.append(pipeline.prepare(item))
    return prepared


def _timed(step: Step, warmup_seconds: float, seconds: float) -> dict[str, Any]:
    """Repeat a step for `seconds` after the warm-up; return the requests, the time and the CPU time."""
    _cycle(step, warmup_seconds)
    cpu_began_s, began_s = time.process_time(), time.perf_counter()
    requests = _cycle(step, seconds)
    return {
        "requests": requests,
        "seconds": time.perf_counter() - began_s,
        "cpu_seconds": time.process_time() - cpu_began_s,
    }


def _cycle(step: Step, seconds: float) -> int:
    requests = 0
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        requests += step(requests)
    return requests
