"""The in-process loop, whole and in parts, over a handler that notes what it is given."""

import io
import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest

from serving_core import loop
from serving_core.calls import Answer, Call, Item, Outcome
from serving_core.engine import Batching
from serving_core.errors import StartError
from serving_core.handler import Context, Handler
from serving_core.loading import Loaded
from serving_core.models.store import Model
from serving_core.settings import Settings


class Counting(Handler):
    """Answers with the item itself, and notes the size of every batch and what it prepared."""

    inputs = outputs = ()

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.prepared = 0

    def load(self, model: Model, context: Context) -> None: ...

    def example(self) -> Item:
        return {}

    def preprocess(self, decoded: Any) -> Any:
        self.prepared += 1
        return decoded

    def predict(self, batch: list[Any]) -> Sequence[Any]:
        self.batches.append(len(batch))
        return batch


def take_apart(body: bytes) -> Call:
    def encode(outcomes: Sequence[Outcome]) -> Answer:
        return Answer(json.dumps([str(outcome) for outcome in outcomes]).encode())

    return Call([{"image": body.decode()}], encode)


def run(monkeypatch: pytest.MonkeyPatch, handler: Handler, **order: Any) -> dict[str, Any]:
    monkeypatch.setattr(loop, "load_models", lambda *_: iter([Loaded("m", None, handler)]))
    monkeypatch.setattr(loop.encodings, "choose", lambda *_: take_apart)
    bodies = [b64encode(text.encode()).decode() for text in ("one", "two", "three")]
    request = {"seconds": 0.02, "warmup_seconds": 0, "content_type": "text/plain", "bodies": bodies, **order}
    sink = io.BytesIO()
    source = io.BytesIO(json.dumps(request).encode())
    loop.run_loop(None, Settings.model_construct(max_items=1), source, sink)  # type: ignore[arg-type]  # no engine is made
    return dict(json.loads(sink.getvalue()))


def test_an_order_without_parts_is_answered_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = Counting()
    told = run(monkeypatch, handler)
    assert told["answers"] == [[f"{{'image': '{name}'}}"] for name in ("one", "two", "three")]
    assert told["parts"] == {}
    assert told["requests"] == len(handler.batches) - 3 == handler.prepared - 3
    assert told["seconds"] >= 0.02
    assert set(handler.batches) == {1}


def test_each_part_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = Counting()
    parts = run(monkeypatch, handler, parts=["prepare"], part_seconds=0.02)["parts"]
    assert handler.prepared - len(handler.batches) >= parts["prepare"]["requests"] > 0
    handler = Counting()
    parts = run(monkeypatch, handler, parts=["infer"], part_seconds=0.02)["parts"]
    # what is inferred was prepared once, before it was timed
    assert len(handler.batches) - handler.prepared >= parts["infer"]["requests"] - 3 > 0
    assert parts["infer"]["batch_size"] == 1


def test_the_model_alone_gets_the_batches_that_suit_it(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = Counting()
    handler.batching = Batching(size=8)
    told = run(monkeypatch, handler, parts=["prepare", "infer"], part_seconds=0.02)
    assert list(told["parts"]) == ["prepare", "infer"]
    assert told["parts"]["infer"]["batch_size"] == 8
    # its requests are items, and three of them are cycled over to fill a batch of eight
    assert set(handler.batches) == {1, 8}
    assert told["parts"]["infer"]["requests"] % 8 == 0


def test_an_unknown_part_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StartError, match="not a loop order"):
        run(monkeypatch, Counting(), parts=["encode"])
