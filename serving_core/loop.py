"""The in-process loop: a service's own pipeline without HTTP, the measure of what serving adds."""

import base64
import time
from typing import BinaryIO

import orjson
from pydantic import BaseModel, Field, ValidationError

from serving_core.calls import Parse
from serving_core.codecs import encodings
from serving_core.errors import StartError
from serving_core.loading import load_models, signature_of
from serving_core.metrics import Metrics
from serving_core.pipeline import Pipeline
from serving_core.service import MakeEngine
from serving_core.settings import Settings


class LoopOrder(BaseModel):
    """What to run: request bodies in base64, cycled over for `seconds` after `warmup_seconds`."""

    seconds: float = Field(gt=0)
    warmup_seconds: float = Field(ge=0)
    content_type: str
    bodies: list[str] = Field(min_length=1)


def run_loop(make_engine: MakeEngine, settings: Settings, source: BinaryIO, sink: BinaryIO) -> None:
    """Read a LoopOrder as JSON, run it one image at a time, write one line of JSON; raises StartError."""
    try:
        order = LoopOrder.model_validate_json(source.read())
        bodies = [base64.b64decode(body, validate=True) for body in order.bodies]
    except (ValidationError, ValueError) as error:
        raise StartError(f"standard input is no loop order: {' '.join(str(error).split())}") from None
    metrics = Metrics()
    loaded = next(load_models(make_engine, settings, metrics))
    pipeline = Pipeline(loaded.handler, metrics.model(loaded.name))
    headers = {b"content-type": order.content_type.encode()}
    parse = encodings.choose(headers, b"", signature_of(loaded, settings.max_items))
    answers = [orjson.Fragment(pipeline.run(parse, body).body) for body in bodies]
    _cycle(pipeline, parse, bodies, order.warmup_seconds)
    cpu_began_s, began_s = time.process_time(), time.perf_counter()
    requests = _cycle(pipeline, parse, bodies, order.seconds)
    seconds = time.perf_counter() - began_s
    report = {
        "requests": requests,
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu_began_s,
        "answers": answers,
    }
    sink.write(orjson.dumps(report) + b"\n")
    sink.flush()


def _cycle(pipeline: Pipeline, parse: Parse, bodies: list[bytes], seconds: float) -> int:
    requests = 0
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        pipeline.run(parse, bodies[requests % len(bodies)])
        requests += 1
    return requests
