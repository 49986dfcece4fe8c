"""What the image classifier answers."""

import numpy as np
import pytest

from serving_core.classifier import ImageClassifier
from serving_core.errors import RequestError
from serving_core.images import decode


@pytest.fixture
def classifier() -> ImageClassifier:
    made = ImageClassifier()
    made.labels = ("x", "y", "z")
    return made


def test_an_answer_is_a_softmax_over_the_labels(classifier: ImageClassifier) -> None:
    outputs = classifier.postprocess(np.array([1000.0, 1001.0, 0.0], np.float32))
    made = classifier.answer(outputs, None)
    assert made["prediction"] == "y"
    assert made["probabilities"] == pytest.approx({"x": 1 / (1 + np.e), "y": np.e / (1 + np.e), "z": 0})


def test_the_best_classes_come_in_order_and_no_more_than_there_are(classifier: ImageClassifier) -> None:
    outputs = classifier.postprocess(np.array([1.0, 3.0, 2.0], np.float32))
    best = classifier.answer(outputs, 2)
    assert [entry["class"] for entry in best["top_k"]] == ["y", "z"]
    assert best["top_k"][0]["probability"] > best["top_k"][1]["probability"]
    assert len(classifier.answer(outputs, 99)["top_k"]) == 3


def test_logits_that_are_not_finite_are_our_fault(classifier: ImageClassifier) -> None:
    with pytest.raises(RequestError) as refused:
        classifier.postprocess(np.array([np.nan, 1.0, 0.0], np.float32))
    assert refused.value.status == 500


def test_the_example_is_an_image_it_can_decode(classifier: ImageClassifier) -> None:
    assert decode(classifier.example()["image"], 1_000_000).mode == "RGB"
