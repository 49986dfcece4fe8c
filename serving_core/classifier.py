"""The default handler: it turns an image into the scores of a network's classes."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving_core.calls import Item, Outputs
from serving_core.decoding.memory import DecodingMemory
from serving_core.engine import Pixels, Uncomputable
from serving_core.errors import RequestError, StartError
from serving_core.handler import Context, Handler
from serving_core.images import count_pixels, crop, decode, framed
from serving_core.models.manifest import Classifier, read_classifier
from serving_core.models.store import Model
from serving_core.network import PROBABILITIES, Arrays, Network
from serving_core.tensors import BYTES, TensorSpec

EXAMPLE_SIZE = (400, 300)
# A graph that contains the transform uses 20 bytes for each pixel of an image: see docs/decisions/0002.
MOST_GRAPH_PIXELS = 2_000_000
# height and width of the images with which a graph that contains the transform is made warm
WARM_SIZES = ((256, 256), (300, 400), (727, 1200))
# by how much the probabilities of a network that has the softmax inside may miss a sum of 1
ROUNDING = 0.01


def network_of(classifier: Classifier, takes: Literal["crop", "image"]) -> Network:
    """Return what an engine that takes crops, or whole images, must know of a classifier's network."""
    crop_size = classifier.transform.crop
    sides = (-1, -1, 3) if takes == "image" else (crop_size, crop_size, 3)
    name = PROBABILITIES if classifier.softmax else "logits"
    return Network(
        (TensorSpec("image", "UINT8", sides),),
        (TensorSpec(name, "FP32", (len(classifier.labels),)),),
        # images of several sizes have no batch
        "one" if takes == "image" else "any",
        classifier.architecture,
        classifier.transform,
        classifier.logit_tolerance,
    )


class ImageClassifier(Handler):
    """Decodes and transforms images as the manifest says; the service's engine computes the network."""

    inputs = (TensorSpec("image", BYTES),)
    _memory: DecodingMemory | None = None
    _softmax = False

    def load(self, model: Model, context: Context) -> None:
        """Load the model into the engine; raises StartError if the model differs from its manifest."""
        self._classifier = read_classifier(model.manifest)
        self._softmax = self._classifier.softmax
        self._max_pixels, self._memory = context.max_pixels, context.memory
        self._engine = context.make_engine()
        self.labels = self._classifier.labels
        self._network = network_of(self._classifier, self._engine.takes)
        self._engine.load(model.path, self._network, context.compute)
        self.platform = self._engine.name
        (scores,) = self._network.outputs
        self.outputs = (
            *(() if self._softmax else (scores,)),
            TensorSpec(PROBABILITIES, "FP32", scores.shape),
            TensorSpec("label", BYTES, text=True),
        )

    def example(self) -> Item:
        """Return a picture with every grey level, which belongs to none of the classes."""
        buffer = BytesIO()
        Image.linear_gradient("L").resize(EXAMPLE_SIZE).convert("RGB").save(buffer, "JPEG")
        return {"image": buffer.getvalue()}

    def warm(self) -> None:
        """Compute inputs of every shape that requests will have, then one whole example.

        Raises StartError if the network takes no such image, or if its outputs are not the manifest's.
        """
        crop_size = self._classifier.transform.crop
        sizes = WARM_SIZES if self._engine.takes == "image" else ((crop_size, crop_size),)
        noise = np.random.default_rng(0)
        examples: list[Arrays] = [[noise.integers(0, 256, (1, *size, 3), np.uint8)] for size in sizes]
        try:
            # first of all: an engine may compute only once it is warm
            self._engine.warm(examples)
            made = self._engine.predict(examples[0])
        except Uncomputable as error:
            cause = " ".join(str(error).split())[:200]
            raise StartError(
                f"the model computes no image of crop {crop_size} ({cause}): "
                "publish the model and its manifest again"
            ) from None
        self._check(made)
        self.batching = self._engine.batching
        super().warm()

    def _check(self, made: Arrays) -> None:
        try:
            self._network.check_outputs(made, 1)
        except ValueError as error:
            raise StartError(f"{error}: publish the model and its manifest again") from None
        if self._softmax and abs(float(made[0].sum()) - 1) > ROUNDING:
            raise StartError(
                f"the model's probabilities sum to {float(made[0].sum()):.3g}: "
                "publish it without softmax in its manifest"
            )

    def pixels(self, item: Item) -> int:
        """Return the pixels of the item's image as its header gives them; 0 if too many to decode."""
        return count_pixels(item["image"], self._max_pixels)

    def decode(self, item: Item) -> Image.Image:
        """Return the upright RGB image; raises RequestError 413 or 422."""
        return decode(item["image"], self._max_pixels, self._memory)

    def preprocess(self, decoded: Image.Image) -> Pixels:
        """Return the engine's input, uint8 [1, height, width, 3]."""
        transform = self._classifier.transform
        if self._engine.takes == "crop":
            return crop(decoded, transform)[np.newaxis]
        if decoded.width * decoded.height > MOST_GRAPH_PIXELS:
            return framed(crop(decoded, transform), transform)[np.newaxis]
        return np.asarray(decoded)[np.newaxis]

    def predict(self, batch: list[Pixels]) -> Sequence[NDArray[np.float32]]:
        """Return the network's scores for each image, float32 [classes]: logits, or else probabilities."""
        if len(batch) == 1:
            return [*self._engine.predict(batch)[0]]
        if self._engine.takes == "image":  # the images may differ in size
            return [row for pixels in batch for row in self._engine.predict([pixels])[0]]
        return [*self._engine.predict([np.concatenate(batch)])[0]]

    def postprocess(self, result: NDArray[np.float32]) -> Outputs:
        """Return logits if the network gives them, probabilities and the label; raises RequestError 500."""
        probabilities = result.astype(np.float64) if self._softmax else probabilities_of(result)
        if not np.isfinite(probabilities).all():
            raise RequestError(
                500, "the model gave no finite answer to this image: report it with the request's id"
            )
        label = self.labels[int(probabilities.argmax())]
        outputs = {"probabilities": probabilities, "label": label}
        return outputs if self._softmax else {"logits": result, **outputs}

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


def probabilities_of(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the softmax of one image's logits, in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max()
    weights = np.exp(shifted)
    scaled: NDArray[np.float64] = weights / weights.sum()
    return scaled
