"""Requests drawn from a model's signature with a seed: the same seed gives the same bytes.

Floats are normal, or uniform within a range; whole numbers and flags uniform; BYTES are text in UTF-8, or
pictures where the input is named image.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import UsageError
from bench.model.from_outside import MOST_LINE
from bench.request_sets.draft import (
    DraftSet,
    TensorPart,
    file_tensor,
    number_tensor,
    of_tensors,
    text_tensor,
)
from bench.request_sets.manifest import USUAL_CLASS
from bench.request_sets.request_set import BYTES
from bench.request_sets.stated_model import StatedModel, StatedTensor

Ranges = tuple[tuple[float, float], ...]
Sizes = tuple[tuple[int, ...], ...]

# whole numbers are from 0 on and below this, unless a range says otherwise, or the service refuses it
USUAL_BOUND = 1000
# of the axes that vary, and of the sides of a picture: a small and a large request
USUAL_SIZES: Sizes = ((8,), (64,))
USUAL_SIDES: Sizes = ((320, 240), (1280, 960))
CLASS_NAMES = {1: (USUAL_CLASS,), 2: ("small", "large"), 3: ("small", "medium", "large")}
FEWEST_WORDS, MOST_WORDS = 3, 24
PICTURE = "image"
# the levels of a picture change over as many pixels, about as smoothly as a photograph's
GRAIN = 16
WORDS = (
    *(
        "a",
        "the",
        "one",
        "we",
        "you",
        "they",
        "it",
        "is",
        "was",
        "will",
        "and",
        "but",
        "not",
        "very",
        "never",
    ),
    *(
        "morning",
        "evening",
        "weather",
        "wind",
        "rain",
        "snow",
        "harbour",
        "mountain",
        "river",
        "city",
        "café",
    ),
    *("lovely", "awful", "grey", "bright", "early", "late", "cold", "naïve", "quiet", "Zürich", "tomorrow"),
    *("came", "went", "said", "saw", "kept", "lost", "found", "asked", "answered", "waited", "laughed"),
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of the inputs, by their names.

    A range holds the least and the most; whole numbers stay below the most. There is one for all elements, or
    one for each place on the last axis. Sizes are those of the axes that vary (a picture's width and height,
    a text's words), from small to large: a class of requests each.
    """

    ranges: Mapping[str, Ranges] = field(default_factory=dict)
    sizes: Mapping[str, Sizes] = field(default_factory=dict)


def draw(model: StatedModel, count: int, seed: int, wishes: Wishes) -> DraftSet:
    """`count` requests, dealt to the classes in turn; raises UsageError for wishes that no input can fulfil.

    A request depends on the seed and on its own number alone, so a larger set begins with the smaller one.
    """
    check_wishes(model, wishes)
    sizes = steps(model, wishes)
    names = _class_names(sizes)
    requests, files = [], dict[str, bytes]()
    for number in range(count):
        step = number % len(names)
        parts = draw_one(model, number, seed, wishes, {name: each[step] for name, each in sizes.items()})
        requests.append(of_tensors(f"{names[step]}-{number:04d}", names[step], parts))
        for part in parts:
            files.update(part.files)
    return DraftSet(tuple(requests), files, f"drawn with seed {seed} for the model {model.name}"[:MOST_LINE])


def draw_one(
    model: StatedModel, number: int, seed: int, wishes: Wishes, sizes: Mapping[str, tuple[int, ...]]
) -> list[TensorPart]:
    """The inputs of one request."""
    rng = np.random.default_rng([seed, number])
    return [
        _draw_tensor(
            rng, tensor, wishes.ranges.get(tensor.name), sizes.get(tensor.name), f"{place}-{number:04d}"
        )
        for place, tensor in enumerate(model.inputs)
    ]


def steps(model: StatedModel, wishes: Wishes) -> dict[str, Sizes]:
    """The sizes of each input that has any, as many for each: a class each.

    An input that is not named takes the sizes of the first one that is and has as many axes, so that a mask
    is as long as what it masks.
    """
    named = [wishes.sizes[tensor.name] for tensor in model.inputs if tensor.name in wishes.sizes]
    found: dict[str, Sizes] = {}
    for tensor in model.inputs:
        if tensor.name in wishes.sizes:
            found[tensor.name] = wishes.sizes[tensor.name]
        elif tensor.varying:
            like = [each for each in named if len(each[0]) in (1, len(tensor.varying))]
            found[tensor.name] = like[0] if like else USUAL_SIZES
        elif is_picture(tensor):
            found[tensor.name] = USUAL_SIDES
    counts = {name: len(each) for name, each in found.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UsageError(
            f"the inputs have different numbers of sizes, {shown}: name as many for each, --sizes"
        )
    return found


def is_picture(tensor: StatedTensor) -> bool:
    """Whether its BYTES are a picture: only the name tells."""
    return tensor.datatype == BYTES and tensor.name == PICTURE


def check_wishes(model: StatedModel, wishes: Wishes) -> None:
    """Raise UsageError for a wish about an input that the model lacks or that cannot have it."""
    inputs = {tensor.name: tensor for tensor in model.inputs}
    for option, names in (("--range", wishes.ranges), ("--sizes", wishes.sizes)):
        for name in names:
            if name not in inputs:
                raise UsageError(f"{option} {name}: the model's inputs are {', '.join(inputs)}")
    for name, ranges in wishes.ranges.items():
        _check_ranges(inputs[name], ranges)
    for name, sizes in wishes.sizes.items():
        _check_sizes(inputs[name], sizes)


def _check_ranges(tensor: StatedTensor, ranges: Ranges) -> None:
    option, ends = f"--range {tensor.name}", [end for each in ranges for end in each]
    if len(ranges) > 1 and (len(tensor.shape) < 2 or tensor.shape[-1] != len(ranges)):
        raise UsageError(
            f"{option} has {len(ranges)} ranges, and the shape is {[*tensor.shape]}: name one for all, or "
            "one for each place on the last axis"
        )
    if tensor.is_integer:
        holds = np.iinfo(tensor.dtype)
        if any(end != int(end) for end in ends):
            raise UsageError(f"{option}: it is {tensor.datatype}: name whole numbers")
        fits = all(holds.min <= least and most - 1 <= holds.max for least, most in ranges)
    elif tensor.datatype.startswith("FP"):
        fits = all(abs(end) <= float(np.finfo(tensor.dtype).max) for end in ends)
    else:
        raise UsageError(f"{option}: it is {tensor.datatype}, which has no range: leave it out")
    if not fits:
        raise UsageError(f"{option}: it is {tensor.datatype}, which does not reach so far: narrow the range")


def _check_sizes(tensor: StatedTensor, sizes: Sizes) -> None:
    if is_picture(tensor):
        if any(len(each) != 2 for each in sizes):
            raise UsageError(f"--sizes {tensor.name}: a picture has two, such as 640x480")
        return
    axes = len(tensor.varying)
    if not axes and tensor.datatype != BYTES:
        raise UsageError(f"--sizes {tensor.name}: no axis of it varies: leave it out")
    if any(len(each) not in (1, max(axes, 1)) for each in sizes):
        raise UsageError(
            f"--sizes {tensor.name}: {axes or 'no'} of its axes vary: name a size, or one for each axis"
        )


def _class_names(sizes: Mapping[str, Sizes]) -> Sequence[str]:
    """A name for each step: by size where there are many."""
    first = next(iter(sizes.values()), ((),))
    return CLASS_NAMES.get(len(first)) or ["size-" + "x".join(map(str, each)) for each in first]


def _draw_tensor(
    rng: np.random.Generator,
    tensor: StatedTensor,
    within: Ranges | None,
    sizes: tuple[int, ...] | None,
    file: str,
) -> TensorPart:
    if is_picture(tensor):
        width, height = sizes or USUAL_SIDES[0]
        return file_tensor(tensor.name, f"{file}.jpg", picture(rng, width, height), tensor.of((1,)))
    shape = tensor.of(sizes or () if tensor.varying else ())
    if tensor.datatype == BYTES:
        texts = [_text(rng, None if tensor.varying else sizes) for _ in range(int(np.prod(shape)))]
        return text_tensor(tensor.name, texts, shape)
    return number_tensor(tensor.name, numbers(rng, tensor, shape, within), file)


def numbers(
    rng: np.random.Generator, tensor: StatedTensor, shape: tuple[int, ...], within: Ranges | None
) -> NDArray[Any]:
    """Numbers of the input's datatype."""
    dtype = tensor.dtype
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if tensor.is_integer:
        usual = ((0, min(USUAL_BOUND, int(np.iinfo(dtype).max) + 1)),)
        lowest, highest = np.array(within or usual, object).T
        return rng.integers(lowest, highest, shape, dtype=dtype)
    if within is None:
        return rng.standard_normal(shape).astype(dtype)
    least, most = np.array(within).T
    drawn: NDArray[Any] = rng.uniform(least, most, shape).astype(dtype)
    # a float of fewer bits may be rounded beyond the range
    return drawn.clip(least.astype(dtype), most.astype(dtype))


def _text(rng: np.random.Generator, words: tuple[int, ...] | None) -> str:
    count = words[0] if words else int(rng.integers(FEWEST_WORDS, MOST_WORDS + 1))
    return " ".join(WORDS[int(at)] for at in rng.integers(0, len(WORDS), count))


def picture(rng: np.random.Generator, width: int, height: int) -> bytes:
    """A JPEG of colours that change smoothly, with a little noise: about as long as a photograph's."""
    coarse = rng.integers(0, 256, (height // GRAIN + 2, width // GRAIN + 2, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(smooth + rng.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)
    written = io.BytesIO()
    Image.fromarray(noisy).save(written, "JPEG", quality=90)
    return written.getvalue()
