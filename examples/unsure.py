"""The image classifier with an answer of its own if no class is likely."""

from typing import Any

from serving_core.calls import Outputs
from serving_core.classifier import ImageClassifier

LEAST_PROBABILITY = 0.5


class Unsure(ImageClassifier):
    """Answers "unsure" instead of the best of many bad guesses."""

    def postprocess(self, result: Any) -> Outputs:
        """Return the classifier's outputs, with another label if its best class is unlikely."""
        outputs = super().postprocess(result)
        if outputs["probabilities"].max() < LEAST_PROBABILITY:
            return {**outputs, "label": "unsure"}
        return outputs
