"""The classifier that owns up: the same network, another answer."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image

from examples.unsure import LEAST_PROBABILITY
from tests.running.processes import Running


def test_a_clear_picture_has_its_class_and_an_unclear_one_is_owned_up_to(
    launch: Callable[..., Running],
    environment: Callable[[str], dict[str, str]],
    image_set: dict[str, Any],
) -> None:
    service = launch("onnx", HANDLER="examples.unsure:Unsure", **environment("onnx"))
    service.wait_until_ready()
    told = {}
    for image in image_set["images"]:
        answer = service.post(image["content"], "application/octet-stream").json()
        best = max(answer["probabilities"].values())
        told[image["file"]] = answer["prediction"]
        assert (answer["prediction"] == "unsure") == (best < LEAST_PROBABILITY), image["file"]
    sure = [image for image in image_set["images"] if image["kind"] == "seed"]
    assert [told[image["file"]] for image in sure] == [image["expected"]["label"] for image in sure]
    assert "unsure" in {service.post(unclear(share)).json()["prediction"] for share in (2, 3, 4, 5, 6, 7, 8)}


def unclear(share: int) -> bytes:
    """Two skies in one picture, `share` tenths of it the upper."""
    picture = Image.linear_gradient("L").resize((300, 300)).convert("RGB")
    picture.paste((200, 120, 60), (0, 0, 300, 30 * share))
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
