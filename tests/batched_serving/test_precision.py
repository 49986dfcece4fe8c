"""Half precision is taken only where it answers like single precision."""

import numpy as np
import pytest
import torch

from batched_serving.network import SHARE, Normalise, judge, load_folded, probe_pictures
from serving_core.classifier import network_of
from tests.batched_serving.weather import WEIGHTS, classifier

EXACT = np.array([[1.0, 2.0, 0.5], [0.1, 0.0, -1.0]], np.float32)


@pytest.mark.parametrize(
    ("moved", "holds"),
    [
        (0.0, True),
        (0.049, True),
        # more than a quarter of 0.2
        (0.051, False),
        (-0.3, False),
        (np.nan, False),
        (np.inf, False),
    ],
)
def test_logits_may_move_by_a_share_of_the_tolerance(moved: float, holds: bool) -> None:
    approximate = EXACT.copy()
    approximate[0, 1] += moved
    assert judge(EXACT, approximate, 0.2).holds is holds


def test_the_best_class_must_stay() -> None:
    exact = np.array([[0.0, 1.0, 1.01]], np.float32)
    verdict = judge(exact, np.array([[0.0, 1.02, 1.01]], np.float32), 0.2)
    assert verdict.largest_difference <= verdict.allowed
    assert (verdict.holds, verdict.same_class) == (False, False)


def test_logits_that_lie_close_together_may_move_by_a_share_of_that() -> None:
    exact = np.array([[0.001, 0.002, 0.0]], np.float32)
    assert judge(exact, exact + np.float32([0, 0, 1e-5]), 0.05).holds
    assert not judge(exact, exact + np.float32([0, 0, 1.9e-3]), 0.05).holds


def flat(classes: int, share: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Probabilities of which the best class has `share` times an even one."""
    scores = np.full((1, classes), 1.0, np.float32)
    scores[0, 3] = share
    return np.asarray(scores / scores.sum(), np.float32)


@pytest.mark.parametrize("classes", [10, 1000, 100_000])
@pytest.mark.parametrize(("moved", "holds"), [(0.0, True), (0.01, True), (0.1, False), (np.nan, False)])
def test_probabilities_are_compared_as_logits_however_many_classes_there_are(
    classes: int, moved: float, holds: bool
) -> None:
    exact = flat(classes, share=1.5)
    approximate = exact.copy()
    approximate[0, 5] *= np.float32(1 + moved)
    assert judge(exact, approximate, 0.2, probabilities=True).holds is holds


def test_what_half_precision_leaves_of_unlikely_classes_says_nothing() -> None:
    exact = np.array([[0.9, 0.1, 2e-8]], np.float32)
    assert judge(exact, exact.astype(np.float16).astype(np.float32), 0.05, probabilities=True).holds


def test_the_pictures_differ_and_are_always_the_same() -> None:
    pictures = probe_pictures(64)
    assert pictures.dtype == np.uint8
    assert pictures.shape[1:] == (64, 64, 3)
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    assert np.array_equal(pictures, probe_pictures(64))


@pytest.mark.slow
def test_the_pictures_tell_precisions_apart() -> None:
    """On this model, rounding to bfloat16 is seen to move logits by more than rounding to half does."""
    network = load_folded(WEIGHTS, network_of(classifier(), "crop"))
    pixels = Normalise(classifier().transform, torch.device("cpu"))(torch.from_numpy(probe_pictures(224)))

    def logits(dtype: torch.dtype) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        # The weights alone are rounded: a processor computes half precision slowly, where it does at all.
        rounded = {name: value.to(dtype).float() for name, value in network.state_dict().items()}
        with torch.inference_mode():
            found: torch.Tensor = torch.func.functional_call(network, rounded, (pixels.clone(),))
        return found.numpy()

    exact = logits(torch.float32)
    half, brain = (
        judge(exact, logits(dtype), classifier().logit_tolerance) for dtype in (torch.half, torch.bfloat16)
    )
    assert 0 < half.largest_difference < brain.largest_difference
    assert half.allowed == pytest.approx(classifier().logit_tolerance * SHARE)
