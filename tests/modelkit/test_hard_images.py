"""The hard images are what they claim, and the services' decoder makes the reference's pixels of each."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from modelkit.images import decode, reference_pixels
from modelkit.manifest import Transform
from serving_core import images
from serving_core.models.manifest import ServedTransform as ServedTransform
from tests.modelkit.hard_images import HARD_IMAGES, LARGE, STORED, picture

ROOT = Path(__file__).parents[2]
TRANSFORM = Transform()
SERVED = ServedTransform(TRANSFORM.resize, TRANSFORM.crop, TRANSFORM.mean, TRANSFORM.std)
MOST_PIXELS = 50_000_000
# the reference resizes these whole, to 256 x 1 280 000
LONG = {"1x5000.png", "5000x1.png"}
# some of these files are damaged where it does not matter, which Pillow warns of
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize("name", [name for name in HARD_IMAGES if name not in LONG])
def test_the_services_decoder_makes_the_references_pixels(name: str) -> None:
    content = HARD_IMAGES[name]()
    expected, found = decode(content, name), images.decode(content, MOST_PIXELS)
    assert found.mode == "RGB"
    assert found.size == expected.size
    assert np.array_equal(np.asarray(found), np.asarray(expected))
    crops = [reference_pixels(expected, TRANSFORM).astype(int), images.crop(found, SERVED)]
    assert np.abs(crops[0] - crops[1]).max() <= 1


@pytest.mark.parametrize("name", ["exif_6.jpg", "rgb_16bit.png", "animated.gif", "cmyk_ycck.jpg"])
def test_they_are_the_same_each_time(name: str) -> None:
    assert HARD_IMAGES[name]() == HARD_IMAGES[name]()


@pytest.mark.parametrize("name", ["exif_5.png", "exif_6.png", "exif_7.webp", "exif_8.webp"])
def test_a_rotation_that_loses_nothing_is_undone_to_the_pixel(name: str) -> None:
    assert np.array_equal(np.asarray(decode(HARD_IMAGES[name]())), np.asarray(picture()))


@pytest.mark.parametrize("orientation", STORED)
def test_a_rotated_photograph_is_upright_again(orientation: int) -> None:
    found = np.asarray(decode(HARD_IMAGES[f"exif_{orientation}.jpg"]())).astype(int)
    assert np.abs(found - np.asarray(picture())).mean() < 3


@pytest.mark.parametrize("name", ["lossless.webp", "interlaced.png", "animated.png", "rgb.bmp", "alpha.png"])
def test_a_container_that_loses_nothing_gives_the_pixels_it_was_made_of(name: str) -> None:
    assert np.array_equal(np.asarray(decode(HARD_IMAGES[name]())), np.asarray(picture()))


def test_of_sixteen_bits_the_upper_eight_count() -> None:
    for name in ("rgb_16bit.png", "rgba_16bit.png"):
        assert np.abs(np.asarray(decode(HARD_IMAGES[name]())).astype(int) - np.asarray(picture())).max() <= 1


@pytest.mark.parametrize(
    ("name", "form", "mode"),
    [
        ("cmyk_adobe.jpg", "JPEG", "CMYK"),
        ("cmyk_ycck.jpg", "JPEG", "CMYK"),
        ("cmyk_no_marker.jpg", "JPEG", "CMYK"),
        ("several_pictures.mpo", "MPO", "RGB"),
        ("grey_16bit.png", "PNG", "I;16"),
        ("palette_2bit.png", "PNG", "P"),
        ("bilevel.bmp", "BMP", "1"),
        ("alpha.webp", "WEBP", "RGBA"),
        ("palette.bmp", "BMP", "P"),
    ],
)
def test_they_are_what_they_claim(name: str, form: str, mode: str) -> None:
    with Image.open(io.BytesIO(HARD_IMAGES[name]())) as image:
        assert (image.format, image.mode) == (form, mode)


def test_what_only_the_bytes_show_is_in_them() -> None:
    made = {name: HARD_IMAGES[name]() for name in ("interlaced.png", "rgb_16bit.png", "restart_markers.jpg")}
    assert made["interlaced.png"][28] == 1
    assert made["rgb_16bit.png"][24] == 16
    assert b"\xff\xdd\x00\x04\x00\x03" in made["restart_markers.jpg"]
    assert b"\xff\xd0" in made["restart_markers.jpg"]
    with Image.open(io.BytesIO(HARD_IMAGES["progressive.jpg"]())) as image:
        assert image.info["progressive"]
    for name in ("animated.png", "animated.gif", "animated.webp"):
        with Image.open(io.BytesIO(HARD_IMAGES[name]())) as image:
            assert getattr(image, "n_frames", 1) == 3


def test_jpegs_have_the_samplings_they_are_named_for() -> None:
    expected = {"444": (1, 1), "422": (2, 1), "420": (2, 2), "411": (4, 1)}
    for name, (across, down) in expected.items():
        with Image.open(io.BytesIO(HARD_IMAGES[f"subsampling_{name}.jpg"]())) as image:
            assert isinstance(image, JpegImageFile)
            assert [layer[1:3] for layer in image.layer] == [(across, down), (1, 1), (1, 1)]


def test_damage_that_does_not_matter_is_passed_over_in_silence() -> None:
    """Else clients write the services' log, and fill the interpreter's list of warnings once told."""
    names = ["exif_cut.jpg", "palette_alphas.png"]
    code = (
        "import sys\nfrom serving_core.images import decode\n"
        "from tests.modelkit.hard_images import HARD_IMAGES\n"
        "for name in sys.argv[1:]: print(decode(HARD_IMAGES[name](), 10**6).size)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["(300, 220)"] * 2
    assert done.stderr == ""


def test_the_large_one_is_small_on_the_wire() -> None:
    content = HARD_IMAGES["8000x6000.jpg"]()
    assert len(content) < 1_500_000
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == LARGE
