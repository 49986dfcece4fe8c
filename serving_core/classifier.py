"""The default handler: it turns an image into the scores of a network's classes."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving_core.calls import Item, Outputs
from serving_core.engine import Takes, Uncomputable
from serving_core.errors import RequestError, StartError
from serving_core.handler import Context, Handler
from serving_core.models.manifest import Classifier, read_classifier
from serving_core.models.store import Model
from serving_core.network import IMAGE, NORMALISED, PROBABILITIES, Arrays, Network
from serving_core.preparation.choice import preparation_of
from serving_core.preparation.preparation import DecodingLimits
from serving_core.tensors import BYTES, TensorSpec

EXAMPLE_SIZE = (400, 300)
# by how much the probabilities of a network that has the softmax inside may miss a sum of 1
ROUNDING = 0.01


def network_of(classifier: Classifier, takes: Takes) -> Network:
    """Return what an engine must know of a classifier's network that takes images in this form."""
    side = classifier.transform.crop
    sources = {
        "image": TensorSpec(IMAGE, "UINT8", (-1, -1, 3)),
        "crop": TensorSpec(IMAGE, "UINT8", (side, side, 3)),
        "normalised": TensorSpec(NORMALISED, "FP32", (3, side, side)),
    }
    name = PROBABILITIES if classifier.softmax else "logits"
    return Network(
        (sources[takes],),
        (TensorSpec(name, "FP32", (len(classifier.labels),)),),
        # images of several sizes have no batch
        "one" if takes == "image" else "any",
        classifier.architecture,
        classifier.transform,
        classifier.logit_tolerance,
    )


class ImageClassifier(Handler):
    """Has images prepared as PIXELS and the manifest say; the service's engine computes the network."""

    inputs = (TensorSpec("image", BYTES),)
    _softmax = False

    def load(self, model: Model, context: Context) -> None:
        """Load the model into the engine; raises StartError if the model differs from its manifest."""
        self._classifier = read_classifier(model.manifest)
        self._softmax = self._classifier.softmax
        self._engine = engine = context.make_engine()
        self.labels = self._classifier.labels
        limits = DecodingLimits(context.max_pixels, context.memory)
        self._preparation = preparation_of(
            context.pixels, engine.name, engine.takes, self._classifier.transform, limits
        )
        self._network = network_of(self._classifier, self._preparation.takes)
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
        examples: list[Arrays] = [[example] for example in self._preparation.examples()]
        try:
            # first of all: an engine may compute only once it is warm
            self._engine.warm(examples)
            made = self._engine.predict(examples[0])
        except Uncomputable as error:
            cause = " ".join(str(error).split())[:200]
            raise StartError(
                f"the model computes no image of crop {self._classifier.transform.crop} ({cause}): "
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
        return self._preparation.count_pixels(item["image"])

    def decode(self, item: Item) -> Any:
        """Return the image in the form that its preparation goes on with; raises RequestError 413 or 422."""
        return self._preparation.decode(item["image"])

    def preprocess(self, decoded: Any) -> NDArray[Any]:
        """Return the engine's input; raises RequestError 422."""
        return self._preparation.prepare(decoded)

    def predict(self, batch: list[NDArray[Any]]) -> Sequence[NDArray[np.float32]]:
        """Return the network's scores for each image, float32 [classes]: logits, or else probabilities."""
        if len(batch) == 1:
            return [*self._engine.predict(batch)[0]]
        if self._network.batch == "one":  # the images may differ in size
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
