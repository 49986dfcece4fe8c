"""The default handler: it turns an image into the scores of a network's classes."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving_core.calls import Item, Outputs
from serving_core.engine import Logits, Pixels
from serving_core.errors import RequestError
from serving_core.handler import Context, Handler
from serving_core.images import crop, decode, framed
from serving_core.models.manifest import read_classifier
from serving_core.models.store import Model
from serving_core.tensors import BYTES, TensorSpec

EXAMPLE_SIZE = (400, 300)
# A graph that contains the transform uses 20 bytes for each pixel of an image: see docs/decisions/0002.
MOST_GRAPH_PIXELS = 2_000_000


class ImageClassifier(Handler):
    """Decodes and transforms images as the manifest says; the service's engine computes the network."""

    inputs = (TensorSpec("image", BYTES),)

    def load(self, model: Model, context: Context) -> None:
        """Load the model into the engine; raises StartError if the model differs from its manifest."""
        self._classifier = read_classifier(model.manifest)
        self._max_pixels = context.max_pixels
        self._engine = context.make_engine()
        self._engine.load(model.path, self._classifier, context.compute)
        self.platform = self._engine.name
        self.labels = self._classifier.labels
        classes = (len(self.labels),)
        self.outputs = (
            TensorSpec("logits", "FP32", classes),
            TensorSpec("probabilities", "FP32", classes),
            TensorSpec("label", BYTES, text=True),
        )

    def example(self) -> Item:
        """Return a picture with every grey level, which belongs to none of the classes."""
        buffer = BytesIO()
        Image.linear_gradient("L").resize(EXAMPLE_SIZE).convert("RGB").save(buffer, "JPEG")
        return {"image": buffer.getvalue()}

    def warm(self) -> None:
        """Compute inputs of every shape that requests will have, then one whole example."""
        self._engine.warm()
        self.batching = self._engine.batching
        super().warm()

    def decode(self, item: Item) -> Image.Image:
        """Return the upright RGB image; raises RequestError 413 or 422."""
        return decode(item["image"], self._max_pixels)

    def preprocess(self, decoded: Image.Image) -> Pixels:
        """Return the engine's input, uint8 [1, height, width, 3]."""
        transform = self._classifier.transform
        if self._engine.takes == "crop":
            return crop(decoded, transform)[np.newaxis]
        if decoded.width * decoded.height > MOST_GRAPH_PIXELS:
            return framed(crop(decoded, transform), transform)[np.newaxis]
        return np.asarray(decoded)[np.newaxis]

    def predict(self, batch: list[Pixels]) -> Sequence[NDArray[np.float32]]:
        """Return the logits of each image, float32 [classes]."""
        if len(batch) == 1:
            return [*self._engine.predict(batch[0])]
        if self._engine.takes == "image":  # the images may differ in size
            return [row for pixels in batch for row in self._engine.predict(pixels)]
        together: Logits = self._engine.predict(np.concatenate(batch))
        return [*together]

    def postprocess(self, result: NDArray[np.float32]) -> Outputs:
        """Return logits, probabilities (softmax in float64) and the label; raises RequestError 500."""
        shifted = result.astype(np.float64)
        shifted -= shifted.max()
        weights = np.exp(shifted)
        probabilities = weights / weights.sum()
        if not np.isfinite(probabilities[0]):
            raise RequestError(
                500, "the model gave no finite answer to this image: report it with the request's id"
            )
        label = self.labels[int(probabilities.argmax())]
        return {"logits": result, "probabilities": probabilities, "label": label}

    def answer(self, outputs: Outputs, top_k: int | None) -> Mapping[str, Any]:
        """Return the prediction and the probability of every class, or of the best `top_k` in order."""
        probabilities: list[float] = outputs["probabilities"].tolist()
        named = zip(self.labels, probabilities, strict=True)
        if top_k is None:
            return {"prediction": outputs["label"], "probabilities": dict(named)}
        best = sorted(named, key=lambda pair: pair[1], reverse=True)[:top_k]
        return {
            "prediction": outputs["label"],
            "top_k": [{"class": label, "probability": probability} for label, probability in best],
        }
