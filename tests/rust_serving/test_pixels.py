"""The pixels of `rust_serving` are those of the reference, to the bit: decoded, and cropped."""

import dataclasses
import struct
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modelkit.images import reference_pixels
from modelkit.manifest import Transform
from serving_core.errors import RequestError
from serving_core.images import decode
from serving_core.models.manifest import ServedTransform
from tests.running.rust import rust_target
from tests.serving_core import odd_images, test_decoding_work, test_odd_images

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.rust,
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
]
LIMIT = 50_000_000
KINDS = {0: 0, 1: 413, 2: 422, 3: 499}
TRANSFORM = ServedTransform(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BICUBIC = dataclasses.replace(TRANSFORM, interpolation="bicubic")
HEAD = struct.Struct("<BIIIIIQ")
IMAGES = sorted(path for path in (ROOT / "images").iterdir() if path.is_file() and path.suffix != ".json")


class Answer(NamedTuple):
    """What the example says of an image: an HTTP status or 0, sides, memory, and pixels or a message."""

    status: int
    width: int
    height: int
    left: int
    top: int
    memory_bytes: int
    body: bytes

    @property
    def pixels(self) -> np.ndarray:
        """The pixels, as uint8 [height, width, 3]."""
        return np.frombuffer(self.body, np.uint8).reshape(self.height, self.width, 3)


class Pixels:
    """The example as a process that answers one question after the other."""

    def __init__(self, transform: ServedTransform) -> None:
        self.transform = transform
        command = [
            str(rust_target("crop")),
            str(transform.resize),
            str(transform.crop),
            transform.interpolation,
            str(LIMIT),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, question: bytes, data: bytes) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question + struct.pack("<I", len(data)) + data)
        self._process.stdin.flush()
        kind, width, height, left, top, length, memory = HEAD.unpack(self._process.stdout.read(HEAD.size))
        return Answer(KINDS[kind], width, height, left, top, memory, self._process.stdout.read(length))

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def bilinear() -> Iterator[Pixels]:
    made = Pixels(TRANSFORM)
    yield made
    made.close()


@pytest.fixture(scope="module")
def bicubic() -> Iterator[Pixels]:
    made = Pixels(BICUBIC)
    yield made
    made.close()


def reference_crop(image: Image.Image, transform: ServedTransform) -> np.ndarray:
    """Return the crop of the whole image resized, as the model's reference has it."""
    return reference_pixels(image, Transform(**dataclasses.asdict(transform)))


def assert_same(pixels: Pixels, data: bytes) -> None:
    """Assert that the image and its crop are those of the reference."""
    reference = decode(data, LIMIT)
    whole = pixels.ask(b"w", data)
    assert whole.status == 0, whole.body
    assert np.array_equal(whole.pixels, np.asarray(reference))
    region = pixels.ask(b"r", data)
    cropped = reference_crop(reference, pixels.transform)
    assert np.array_equal(
        np.frombuffer(pixels.ask(b"c", data).body, np.uint8).reshape(cropped.shape), cropped
    )
    assert region.left + region.width <= reference.width
    assert region.top + region.height <= reference.height


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_each_image_of_the_set_is_decoded_and_cropped_exactly(
    path: Path, bilinear: Pixels, bicubic: Pixels
) -> None:
    assert_same(bilinear, path.read_bytes())
    assert_same(bicubic, path.read_bytes())


@pytest.mark.parametrize("size", [(600, 400), (300, 900), (230, 500), (1200, 727), (90, 100)])
def test_bicubic_overshoots_are_cut_off_in_the_order_of_the_reference(
    size: tuple[int, int], bicubic: Pixels
) -> None:
    noise = np.random.default_rng(1).integers(0, 2, (size[1], size[0], 3)) * 255
    data = odd_images.saved("PNG", Image.fromarray(noise.astype(np.uint8)))
    assert_same(bicubic, data)


@pytest.mark.parametrize("path", IMAGES[:4], ids=lambda path: path.name)
def test_the_network_s_input_is_normalised_as_the_reference_does_it(path: Path, bilinear: Pixels) -> None:
    data = path.read_bytes()
    levels = np.frombuffer(bilinear.ask(b"c", data).body, np.uint8).reshape(224, 224, 3)
    made = np.frombuffer(bilinear.ask(b"p", data).body, np.float32).reshape(3, 224, 224)
    mean, std = (np.asarray(all_, np.float32).reshape(3, 1, 1) for all_ in (TRANSFORM.mean, TRANSFORM.std))
    expected = (levels.transpose(2, 0, 1).astype(np.float32) / 255 - mean) / std
    assert np.abs(made - expected).max() <= 1e-6


WAYS: list[tuple[str, str, dict[str, Any]]] = [
    *[(mode, "PNG", {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")],
    *[(mode, "BMP", {}) for mode in ("1", "L", "P", "RGB")],
    *[(mode, "GIF", {}) for mode in ("L", "P")],
    *[
        (mode, "JPEG", {"progressive": progressive})
        for mode in ("L", "RGB", "CMYK")
        for progressive in (0, 1)
    ],
    *[("RGB", "JPEG", {"subsampling": sampling, "quality": 60}) for sampling in (0, 1, 2)],
    ("RGB", "JPEG", {"keep_rgb": True}),
    ("RGB", "JPEG", {"restart_marker_blocks": 3}),
    *[(mode, "WEBP", {"lossless": lossless}) for mode in ("RGB", "RGBA") for lossless in (False, True)],
]
SIDES = st.one_of(st.integers(1, 40), st.integers(200, 300), st.integers(300, 900))


def drawn(size: tuple[int, int], mode: str, seed: int) -> Image.Image:
    """Noise, or a smooth picture for an odd seed."""
    rng = np.random.default_rng(seed)
    of = {"1": "L", "P": "RGB"}.get(mode, mode)
    channels = len(Image.new(of, (1, 1)).getbands())
    sides = (max(1, size[0] // 12), max(1, size[1] // 12)) if seed % 2 else size
    shape = (sides[1], sides[0], channels)[: 2 if channels == 1 else 3]
    levels = Image.fromarray(rng.integers(0, 256, shape, np.uint8), "CMYK" if mode == "CMYK" else None)
    image = levels.resize(size, Image.Resampling.BICUBIC)
    return image.quantize(int(rng.choice([2, 3, 16, 200]))) if mode == "P" else image.convert(mode)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    width=SIDES,
    height=SIDES,
    way=st.sampled_from(WAYS),
    orientation=st.integers(1, 8),
    seed=st.integers(0, 9),
)
def test_any_size_mode_format_and_orientation_is_cropped_up_to_rounding(
    bilinear: Pixels,
    width: int,
    height: int,
    way: tuple[str, str, dict[str, Any]],
    orientation: int,
    seed: int,
) -> None:
    mode, form, options = way
    if form in {"JPEG", "PNG", "WEBP"} and orientation > 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {**options, "exif": exif}
    data = odd_images.saved(form, drawn((width, height), mode, seed), **options)
    assert_same(bilinear, data)


ODD: dict[str, Callable[[], bytes]] = {
    **{f"png: {name}": make for name, make in odd_images.ODD_PNGS.items()},
    **{f"jpeg: {name}": make for name, make in odd_images.ODD_JPEGS.items()},
    **{f"webp: {name}": make for name, make in odd_images.ODD_WEBPS.items()},
    **{f"gif: {name}": make for name, make in odd_images.ODD_GIFS.items()},
    **{f"bmp: header of {n}": partial(odd_images.header_bmp, n) for n in (52, 56, 64, 108, 124)},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_metadata_is_left_aside(name: str, bilinear: Pixels) -> None:
    assert_same(bilinear, ODD[name]())


@pytest.mark.parametrize("container", test_odd_images.CONTAINERS)
@pytest.mark.parametrize("name", test_odd_images.NUMBERS)
def test_an_orientation_of_any_type_is_read_as_the_reference_reads_it(
    name: str, container: str, bilinear: Pixels
) -> None:
    assert_same(bilinear, test_odd_images.CONTAINERS[container](test_odd_images.NUMBERS[name]))


@pytest.mark.parametrize("name", test_decoding_work.HOSTILE)
def test_too_much_work_is_refused_in_the_same_words(name: str, bilinear: Pixels) -> None:
    data = test_decoding_work.HOSTILE[name]()
    answer = bilinear.ask(b"c", data)
    with pytest.raises(RequestError) as refused:
        decode(data, LIMIT)
    assert (answer.status, answer.body.decode()) == (refused.value.status, refused.value.message)


def status(data: bytes) -> int:
    try:
        decode(data, LIMIT)
    except RequestError as refused:
        return refused.status
    return 0


@pytest.mark.parametrize("marker", [b"\xff\x02", b"\xff\x85", b"\xff\xb3"])
def test_a_restart_that_is_damaged_refuses_no_jpeg(marker: bytes, bilinear: Pixels) -> None:
    image = drawn((180, 140), "RGB", 1)
    data = odd_images.saved("JPEG", image, subsampling=0, restart_marker_blocks=5)
    at = data.index(b"\xff\xd7", data.index(b"\xff\xda"))
    assert_same(bilinear, data[:at] + marker + data[at + 2 :])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_file_that_is_cut_off_is_refused_if_the_reference_refuses_it(form: str, bilinear: Pixels) -> None:
    data = odd_images.saved(form, drawn((200, 150), "RGB", 1))
    for length in range(0, len(data), max(1, len(data) // 60)):
        assert bilinear.ask(b"c", data[:length]).status == status(data[:length]), length
