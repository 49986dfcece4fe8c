"""An image's own part: its bytes beyond the base image, which is nobody's change."""

from collections.abc import Mapping
from itertools import takewhile

from bench.analysis.image_overlap import leading_layers
from bench.gate.values import Batch, Sides
from bench.model import ImageSize, Run

Images = Mapping[str, ImageSize]


def own_alone(run: Run, name: str) -> float | None:
    """The bytes beyond the layers with which all images on the same first layer begin.

    Of one side of the run: that of `name`. None where there is no image, or none beside it that would tell
    its own part from the base.
    """
    images = _beside(run, name)
    count = _shared(images)
    return None if count is None else _beyond(images[name], count)


def own_against(batch: Batch, name: str) -> Sides:
    """The own parts of base's and head's image, so told apart that their difference is one of its own.

    Where neither side's other images tell what the base image is, both are the whole image.
    """
    theirs = batch.name_in_base(name)
    base, head = _beside(batch.base, theirs), _beside(batch.head, name)
    ours, before = head.get(name), base.get(theirs)
    if ours is None or before is None:
        return Sides(_whole(before), _whole(ours))
    of_base, of_head = _shared(base), _shared(head)
    if of_base is None or of_head is None:
        return Sides(_whole(before), _whole(ours))
    pairs = zip(before.layers, ours.layers, strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0].digest == pair[1].digest, pairs))
    if same or base.keys() != {batch.name_in_base(one) for one in head}:
        # what some images share may be packages: what differs behind a base that is the same is no base
        of_base = of_head = min(of_base, of_head, same or of_base)
    return Sides(_beyond(before, of_base), _beyond(ours, of_head))


def _beside(run: Run, name: str) -> Images:
    """The images of one side that begin with the same layer as that of `name`, which is among them."""
    own = run.strategies.get(name)
    images = {
        one: result.image
        for one, result in run.strategies.items()
        if own is not None and result.image is not None and result.is_base == own.is_base
    }
    first = _first(images.get(name))
    return {one: image for one, image in images.items() if one == name or (first and _first(image) == first)}


def _first(image: ImageSize | None) -> str:
    return image.layers[0].digest if image and image.layers else ""


def _shared(images: Images) -> int | None:
    """How many layers the images begin with alike; None where fewer than two are there to tell."""
    return len(leading_layers(list(images.values()))) if len(images) > 1 else None


def _beyond(image: ImageSize, count: int) -> float:
    return image.unpacked_bytes - sum(layer.unpacked_bytes for layer in image.layers[:count])


def _whole(image: ImageSize | None) -> float | None:
    return None if image is None else image.unpacked_bytes
