"""Every strategy gives the reference's answer to every hard image, whichever way it is sent."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from modelkit.reference import Reference, softmax
from tests.contract.refusals import check_refusal, png_header
from tests.modelkit.hard_images import HARD_IMAGES, STORED, picture, saved
from tests.running.processes import ROOT
from tests.serving_core import odd_images

MODEL = ROOT / "model"
# one of each kind: the tables of encodings beside it ask the same code
ENCODINGS = ("json", "raw", "multipart", "msgpack", "oip json", "oip binary", "oip raw")
LARGE = "8000x6000.jpg"
# what a picture may have beside its pixels, by the file's form
ODD: dict[str, dict[str, Callable[[], bytes]]] = {
    "JPEG": odd_images.ODD_JPEGS,
    "PNG": odd_images.ODD_PNGS,
    "GIF": odd_images.ODD_GIFS,
    "WEBP": odd_images.ODD_WEBPS,
}
# what the logits' tolerance allows a probability, and some of that: they are all that /predict/ tells
PROBABILITY_TOLERANCE = 0.03
# some of the files are damaged where it does not matter, which Pillow warns of
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@dataclass(frozen=True, slots=True)
class Expected:
    """A hard image and what the reference makes of it."""

    content: bytes
    logits: NDArray[np.float32]
    label: str

    def check(self, reading: Any, tolerance: float) -> list[str]:
        """Say what differs; of two classes that are nearly as good, either may win."""
        faults = []
        if reading.logits is not None:
            away = float(np.abs(np.array(reading.logits) - self.logits).max())
            if not away <= tolerance:
                faults.append(f"a logit is {away:.3f} off")
        away = float(np.abs(np.array(reading.probabilities) - softmax(self.logits)).max())
        if not away <= PROBABILITY_TOLERANCE:
            faults.append(f"a probability is {away:.3f} off")
        second, first = np.sort(self.logits)[-2:]
        if first - second > tolerance and reading.label != self.label:
            faults.append(f"{reading.label} instead of {self.label}")
        return faults


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The model's manifest."""
    found: dict[str, Any] = json.loads((MODEL / "model.json").read_text())
    return found


@pytest.fixture(scope="module")
def expected(manifest: dict[str, Any]) -> dict[str, Expected]:
    """The hard images, each with the reference's answer."""
    contents = {name: make() for name, make in HARD_IMAGES.items()}
    rows = Reference(MODEL).logits(list(contents.items()))
    return {
        name: Expected(content, row, manifest["labels"][int(row.argmax())])
        for (name, content), row in zip(contents.items(), rows, strict=True)
    }


def faults(
    service: Any, encoding: Any, expected: dict[str, Expected], manifest: dict[str, Any]
) -> Iterator[str]:
    """Send the hard images one by one, and say what differs."""
    for name, image in expected.items():
        answer = service.send(encoding.request([image.content]))
        if answer.status_code != 200:
            yield f"{name}: {answer.status_code} {answer.text}"
            continue
        (reading,) = encoding.readings(answer)
        yield from (f"{name}: {fault}" for fault in image.check(reading, manifest["logit_tolerance"]))


@pytest.mark.parametrize("kind", ENCODINGS)
def test_every_hard_image_gets_the_references_answer(
    service: Any, encodings: Any, kind: str, expected: dict[str, Expected], manifest: dict[str, Any]
) -> None:
    found = [*faults(service, encodings[kind], expected, manifest)]
    assert not found, "\n".join(found)


def check_together(
    service: Any, encoding: Any, expected: dict[str, Expected], manifest: dict[str, Any]
) -> None:
    together = [name for name, image in expected.items() if name != LARGE and len(image.content) < 100_000]
    answer = service.send(encoding.request([expected[name].content for name in together]))
    assert answer.status_code == 200, answer.text
    readings = encoding.readings(answer)
    assert len(readings) == len(together)
    for name, reading in zip(together, readings, strict=True):
        assert expected[name].check(reading, manifest["logit_tolerance"]) == [], name


def test_hard_images_sent_together_get_the_answers_they_get_alone(
    service: Any, encodings: Any, expected: dict[str, Expected], manifest: dict[str, Any]
) -> None:
    check_together(service, encodings["oip binary"], expected, manifest)


def test_images_prepared_outside_of_the_graph_get_the_references_answer(
    prepared: Any, encodings: Any, expected: dict[str, Expected], manifest: dict[str, Any]
) -> None:
    found = [*faults(prepared, encodings["oip binary"], expected, manifest)]
    assert not found, "\n".join(found)
    check_together(prepared, encodings["oip binary"], expected, manifest)


def test_other_engines_give_the_references_answer(
    with_engine: Any, encodings: Any, expected: dict[str, Expected], manifest: dict[str, Any]
) -> None:
    found = [*faults(with_engine, encodings["oip binary"], expected, manifest)]
    assert not found, "\n".join(found)
    check_together(with_engine, encodings["oip binary"], expected, manifest)


def test_what_is_prepared_outside_of_the_graph_is_refused_in_the_same_words(
    prepared: Any, services: Any, jpeg: bytes, image_set: dict[str, Any]
) -> None:
    too_large = png_header(20_000, 20_000)
    bad = [(b"no image at all", 422), (jpeg[: len(jpeg) // 2], 422), (too_large, 413), (b"GIF89a", 422)]
    for content, status in bad:
        said = [check_refusal(service.post(content), status) for service in (prepared, services["onnx"])]
        # Pillow alone says how much of a file it left
        found, expected = (re.sub(r" \(\d+ bytes not processed\)", "", message) for message in said)
        assert found == expected
    large = max((image["content"] for image in image_set["images"]), key=len)
    assert "deadline" in check_refusal(prepared.post(large, X_Request_Timeout_Ms="1"), 504)


@pytest.mark.parametrize("form", ODD)
def test_odd_metadata_changes_nothing_of_what_is_prepared_outside_of_the_graph(
    prepared: Any, encodings: Any, form: str, manifest: dict[str, Any]
) -> None:
    """Each of the files has the pixels of the plain one: tests/serving_core/test_odd_images.py shows that."""
    image = odd_images.picture().quantize(64) if form == "GIF" else odd_images.picture()
    plain = odd_images.saved(form, image, **({"lossless": True} if form == "WEBP" else {}))
    row = Reference(MODEL).logits([("plain", plain)])[0]
    encoding = encodings["oip binary"]
    answer = prepared.send(encoding.request([make() for make in ODD[form].values()]))
    assert answer.status_code == 200, answer.text
    readings = encoding.readings(answer)
    for name, reading in zip(ODD[form], readings, strict=True):
        assert np.abs(np.array(reading.logits) - row).max() <= manifest["logit_tolerance"], name


def test_most_of_the_hard_images_show_something(expected: dict[str, Expected]) -> None:
    """The comparison of labels is no empty one."""
    margins = [np.diff(np.sort(image.logits)[-2:])[0] for image in expected.values()]
    assert np.mean(np.array(margins) > 0.4) > 0.9
    assert len({image.label for image in expected.values()}) >= 4


@pytest.mark.parametrize("orientation", STORED)
def test_a_rotation_that_is_not_heeded_would_be_seen(
    orientation: int, expected: dict[str, Expected], manifest: dict[str, Any]
) -> None:
    aside = saved(picture().transpose(STORED[orientation]), "PNG")
    image = expected[f"exif_{orientation}.jpg"]
    moved = np.abs(Reference(MODEL).logits([("aside", aside)])[0] - image.logits).max()
    assert moved > 1.5 * manifest["logit_tolerance"]
