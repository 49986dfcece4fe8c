"""Mosec's worker: the pipeline and the engine of batched_serving; one call computes a whole batch.

Mosec's first process imports this file too but computes nothing, so only the worker imports large packages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mosec import ValidationError, Worker

from serving_core.errors import RequestError

if TYPE_CHECKING:
    from serving_core.engine import Engine

JSON_TYPE, RAW_TYPE = b"application/json", b"application/octet-stream"


def make_engine() -> Engine:
    """Return batched_serving's engine."""
    from batched_serving.engine import BatchedEngine

    return BatchedEngine()


class ImageWorker(Worker):
    """Accepts an image as raw bytes or in JSON, and answers like the other services."""

    def __init__(self) -> None:
        from serving_core.codecs import encodings
        from serving_core.dispatch import Pipeline
        from serving_core.loading import load_models, signature_of
        from serving_core.metrics import Metrics
        from serving_core.process.serve import keep_freed_memory
        from serving_core.settings import load_settings

        super().__init__()  # type: ignore[no-untyped-call]  # Mosec's own has no types
        # here, because Mosec spawns its workers, which do not inherit the settings of its first process
        keep_freed_memory()
        settings, metrics = load_settings("batched", "TORCH_MODEL_URI"), Metrics()
        loaded = next(load_models(make_engine, settings, metrics))
        self._pipeline = Pipeline(loaded.handler, metrics.model(loaded.name))
        signature = signature_of(loaded, max_items=1)
        self._json, self._raw = (
            encodings.choose({b"content-type": kind}, b"", signature) for kind in (JSON_TYPE, RAW_TYPE)
        )

    def deserialize(self, data: bytes) -> tuple[Any, Any]:
        """Return the request and the engine's input for its image; raises ValidationError."""
        # Mosec does not pass headers on, but no image begins with a brace
        parse = self._json if data.startswith(b"{") else self._raw
        try:
            call = self._pipeline.parse(parse, data)
            (item,) = call.items
            if isinstance(item, RequestError):
                raise item
            return call, self._pipeline.prepare(item)
        except RequestError as refusal:
            raise ValidationError(refusal.message) from None

    # Mosec reads the annotations while the server starts, so they name only types that are imported there
    def forward(self, data: list[Any]) -> list[Any]:
        """Compute a batch of the results of `deserialize`."""
        results = self._pipeline.infer([pixels for _, pixels in data])
        return [
            (call, self._pipeline.finish(result)) for (call, _), result in zip(data, results, strict=True)
        ]

    def serialize(self, data: tuple[Any, Any]) -> bytes:
        """Return the answer's body."""
        call, outputs = data
        return bytes(self._pipeline.encode(call, [outputs]).body)
