"""An image classifier that takes its time."""

import time
from typing import Any

from serving_core.calls import Item
from serving_core.classifier import ImageClassifier

DECODE_S = 6.0


class Slow(ImageClassifier):
    """Decodes an image in DECODE_S."""

    def decode(self, item: Item) -> Any:
        time.sleep(DECODE_S)
        return super().decode(item)
