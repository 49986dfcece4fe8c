"""One request's work, the same in the server and in the in-process loop: body to image to answer."""

from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from serving_core.bodies import image_bytes
from serving_core.engine import Engine, Logits, Pixels
from serving_core.errors import RequestError
from serving_core.images import crop, decode
from serving_core.manifest import Manifest
from serving_core.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages around one engine and its model."""

    engine: Engine
    manifest: Manifest
    metrics: Metrics
    max_pixels: int

    def prepare(self, content_type: str, body: bytes) -> Pixels:
        """Return the engine's input, uint8 [1, h, w, 3]; raises RequestError 400, 413 or 422."""
        with self.metrics.stage("parse"):
            encoded = image_bytes(content_type, body)
        with self.metrics.stage("decode"):
            image = decode(encoded, self.max_pixels)
        with self.metrics.stage("transform"):
            pixels = (
                np.asarray(image) if self.engine.takes == "image" else crop(image, self.manifest.transform)
            )
        return pixels[np.newaxis]

    def infer(self, batch: Pixels) -> Logits:
        """Return logits float32 [n, classes] of n prepared images."""
        with self.metrics.stage("infer"):
            logits = self.engine.predict(batch)
        self.metrics.batch_size.observe(len(batch))
        return logits

    def encode(self, logits: NDArray[np.float32]) -> bytes:
        """Return the JSON answer to logits float32 [classes]; raises RequestError 500 when not finite."""
        with self.metrics.stage("encode"):
            return answer(logits, self.manifest.labels)

    def run(self, content_type: str, body: bytes) -> bytes:
        """Do it all for one request, one image at a time."""
        return self.encode(self.infer(self.prepare(content_type, body))[0])


def answer(logits: NDArray[np.float32], labels: tuple[str, ...]) -> bytes:
    """Return {"prediction": label, "probabilities": {label: p}} with the softmax taken in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max()
    weights = np.exp(shifted)
    probabilities = weights / weights.sum()
    if not np.isfinite(probabilities[0]):
        raise RequestError(
            500, "the model gave no finite answer to this image: report it with the request's id"
        )
    prediction = labels[int(probabilities.argmax())]
    listed = dict(zip(labels, probabilities.tolist(), strict=True))
    return orjson.dumps({"prediction": prediction, "probabilities": listed})
