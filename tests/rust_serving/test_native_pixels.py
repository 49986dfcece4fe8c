"""The crate `pixels` as an extension of Python: its errors, its memory, and that Python runs meanwhile."""

import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelkit.images import reference_pixels
from modelkit.manifest import Transform
from serving_core.images import decode as decode_by_pillow
from tests.running.native_pixels import Extension, native_pixels
from tests.running.rust import rust_target

pytestmark = pytest.mark.rust

ROOT = Path(__file__).parents[2]
IMAGES = sorted(path for path in (ROOT / "images").iterdir() if path.is_file() and path.suffix != ".json")
LIMIT = 50_000_000
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Extension:
    return native_pixels(tmp_path_factory.mktemp("native_pixels"))


@pytest.fixture(scope="module")
def native(extension: Extension) -> ModuleType:
    return extension.module


def saved(form: str, size: tuple[int, int], **options: Any) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, form, **options)
    return file.getvalue()


def transform(native: ModuleType, *, interpolation: str = "bilinear") -> Any:
    return native.Transform(256, 224, interpolation, MEAN, STD)


def decoded(native: ModuleType, data: bytes, *, interpolation: str = "bilinear") -> Any:
    asked = transform(native, interpolation=interpolation)
    return native.decode(data, native.describe(data, LIMIT), asked, None)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_a_crop_is_the_reference_s_to_the_bit(path: Path, interpolation: Any, native: ModuleType) -> None:
    data = path.read_bytes()
    asked = transform(native, interpolation=interpolation)
    found = decoded(native, data, interpolation=interpolation)
    levels, prepared = found.levels(asked), found.prepare(asked)
    assert (levels.shape, levels.dtype) == ((224, 224, 3), np.uint8)
    assert (prepared.shape, prepared.dtype) == ((3, 224, 224), np.float32)
    assert prepared.flags.c_contiguous
    reference = Transform(256, 224, MEAN, STD, interpolation)
    assert np.array_equal(levels, reference_pixels(decode_by_pillow(data, LIMIT), reference))
    mean, std = (np.asarray(all_, np.float32).reshape(3, 1, 1) for all_ in (MEAN, STD))
    by_hand = (levels.transpose(2, 0, 1).astype(np.float32) / 255 - mean) / std
    assert np.abs(prepared - by_hand).max() <= 1e-6


def test_the_network_s_input_is_that_of_the_crate_to_the_bit(native: ModuleType) -> None:
    """What the crate's own program answers, which rust_serving computes with."""
    program = str(rust_target("crop"))
    for path in IMAGES[:6]:
        data = path.read_bytes()
        question = b"p" + len(data).to_bytes(4, "little") + data
        command = [program, "256", "224", "bicubic", str(LIMIT)]
        answer = subprocess.run(command, input=question, capture_output=True, check=True).stdout
        expected = np.frombuffer(answer[-3 * 224 * 224 * 4 :], np.float32).reshape(3, 224, 224)
        found = decoded(native, data, interpolation="bicubic")
        assert np.array_equal(found.prepare(transform(native, interpolation="bicubic")), expected)


def test_a_description_says_what_the_structure_does(native: ModuleType) -> None:
    data = saved("PNG", (300, 200))
    described = native.describe(data, LIMIT)
    assert (described.width, described.height) == (300, 200)
    assert described.memory_bytes >= 300 * 200 * 3
    assert native.count_pixels(data, LIMIT) == 60_000
    with pytest.raises(AttributeError):
        described.width = 7


def test_what_is_refused_is_refused_by_kind_and_in_the_service_s_words(native: ModuleType) -> None:
    data = saved("JPEG", (300, 200))
    with pytest.raises(native.TooLarge, match=r"^the image has 300x200 pixels: send one of at most 59999 "):
        native.describe(data, 59_999)
    assert native.count_pixels(data, 59_999) == 0
    for broken in (b"", b"text", data[:100]):
        with pytest.raises(native.Unreadable):
            native.describe(broken, LIMIT)
        assert native.count_pixels(broken, LIMIT) == 0
    cut = data[: len(data) // 2]
    with pytest.raises(native.Unreadable, match="truncated or corrupt"):
        decoded(native, cut)
    assert issubclass(native.TooLarge, ValueError)
    assert issubclass(native.Unreadable, ValueError)
    assert issubclass(native.Abandoned, Exception)
    assert not issubclass(native.Abandoned, ValueError)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"crop": 257}, "crop 257 is larger than resize 256"),
    ({"crop": 0}, "crop is 0"),
    ({"resize": -1}, "resize is -1"),
    ({"resize": 2**70}, "beyond all limits"),
    ({"resize": 4097}, "from 1 to 4096"),
    ({"interpolation": "nearest"}, "bilinear or bicubic"),
    ({"mean": (0.5, float("nan"), 0.5)}, "mean"),
    ({"mean": (1e300, 0.5, 0.5)}, "mean"),
    ({"mean": (0.5, 0.5)}, "length 3"),
    ({"std": (0.2, 0.0, 0.2)}, "std"),
    ({"std": (0.2, -0.1, 0.2)}, "std"),
    ({"std": (float("inf"), 0.1, 0.2)}, "std"),
    ({"std": (0.2, 0.1, float("nan"))}, "std"),
]
RIGHT = {"resize": 256, "crop": 224, "interpolation": "bilinear", "mean": MEAN, "std": STD}


@pytest.mark.parametrize(("wrong", "says"), WRONG)
def test_a_wrong_transform_is_a_value_error(wrong: dict[str, Any], says: str, native: ModuleType) -> None:
    with pytest.raises(ValueError, match=says):
        native.Transform(**(RIGHT | wrong))


def test_what_is_of_the_wrong_type_or_beyond_limits_is_said_at_once(native: ModuleType) -> None:
    data = saved("PNG", (30, 20))
    for wrong in (-1, 2**64):
        with pytest.raises(ValueError, match="max_pixels"):
            native.describe(data, wrong)
    for other in (bytearray(data), memoryview(data), "text", None):
        with pytest.raises(TypeError):
            native.describe(other, LIMIT)
    with pytest.raises(TypeError):
        native.Transform(**(RIGHT | {"crop": 224.0}))


def test_what_is_not_wanted_any_more_is_abandoned(native: ModuleType) -> None:
    data = saved("JPEG", (600, 400))
    described, asked = native.describe(data, LIMIT), transform(native)
    times = []

    def wanted() -> bool:
        times.append(0)
        return len(times) < 2

    with pytest.raises(native.Abandoned):
        native.decode(data, described, asked, lambda: False)
    with pytest.raises(native.Abandoned):
        native.decode(data, described, asked, wanted)
    assert len(times) == 2
    assert native.decode(data, described, asked, lambda: True).levels(asked).shape == (224, 224, 3)


@pytest.mark.parametrize("error", [KeyError("gone"), KeyboardInterrupt(), TimeoutError("too late")])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_what_wanted_raises_is_raised_itself(error: BaseException, form: str, native: ModuleType) -> None:
    data = saved(form, (300, 200))
    described, asked = native.describe(data, LIMIT), transform(native)
    raised = []

    def wanted() -> bool:
        raised.append(0)
        raise error

    with pytest.raises(type(error)) as seen:
        native.decode(data, described, asked, wanted)
    assert seen.value is error
    assert len(raised) == 1


def test_a_panic_is_an_exception_that_a_server_survives(native: ModuleType, capfd: Any) -> None:
    """No image is known to cause a panic, so a function of this build alone does."""
    with pytest.raises(
        RuntimeError, match=r"^native_pixels failed at \S+\.rs:\d+:\d+: on purpose$"
    ) as failed:
        native._panic("on\npurpose")
    assert isinstance(failed.value, Exception)
    assert capfd.readouterr() == ("", "")
    # and nothing is broken afterwards
    assert native.count_pixels(saved("BMP", (300, 200)), LIMIT) == 60_000


def meanwhile(work: Callable[[], object]) -> tuple[int, float]:
    """Count how often a thread of Python's comes to its turn while the work runs, and time the work."""
    turns, ended = 0, False

    def count() -> None:
        nonlocal turns
        while not ended:
            turns += 1
            time.sleep(0.0005)

    thread = Thread(target=count)
    thread.start()
    try:
        begin = time.perf_counter()
        before = turns
        work()
        return turns - before, time.perf_counter() - begin
    finally:
        ended = True
        thread.join()


def test_python_runs_while_an_image_is_described_decoded_and_prepared(native: ModuleType) -> None:
    """A call of Python's own holds the lock, and then the other thread has no turn at all but at its end."""
    data = saved("PNG", (4000, 4000), compress_level=1)
    described = native.describe(data, LIMIT)
    asked = native.Transform(3000, 3000, "bicubic", MEAN, STD)
    made: list[Any] = []
    steps: dict[str, Callable[[], object]] = {
        "decode": lambda: made.append(native.decode(data, described, asked, None)),
        "levels": lambda: made[0].levels(asked),
        "prepare": lambda: made[0].prepare(asked),
    }
    for name, step in steps.items():
        turns, took_s = meanwhile(step)
        assert took_s > 0.02, f"{name}: too quick to tell"
        assert turns > 5, f"{name}: {turns} turns in {took_s:.3f} s"
    # the same measure where the lock is held
    turns, took_s = meanwhile(lambda: sum(range(20_000_000)))
    assert took_s > 0.02
    assert turns <= 5


def test_pixels_can_be_weakly_referenced_and_end_with_their_last_reference(native: ModuleType) -> None:
    found = decoded(native, saved("PNG", (300, 200)))
    ended: list[int] = []
    weakref.finalize(found, ended.append, 1)
    reference = weakref.ref(found)
    assert reference() is found
    array = found.prepare(transform(native))
    del found
    gc.collect()
    assert reference() is None
    assert ended == [1]
    array += 1  # it is the caller's own


GROWTH = """
import sys
from pathlib import Path
import native_pixels as native

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

data = Path(sys.argv[1]).read_bytes()
asked = native.Transform(256, 224, "bilinear", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))

def work():
    found = native.decode(data, native.describe(data, 10**8), asked, lambda: True)
    found.prepare(asked), found.levels(asked)
    try:
        native.decode(data[:-len(data) // 3], native.describe(data, 10**8), asked, None)
    except native.Unreadable:
        pass
    else:
        raise SystemExit("a cut file was decoded")
    try:
        native.decode(data, native.describe(data, 10**8), asked, lambda: 1 / 0)
    except ZeroDivisionError:
        pass

for _ in range(200):
    work()
before = resident()
for _ in range(2000):
    work()
print(resident() - before)
"""


def test_memory_does_not_grow_over_thousands_of_images(extension: Extension, tmp_path: Path) -> None:
    """A process of its own; what a decode holds, 300 kB, would be 600 MB if it were kept."""
    file = tmp_path / "image.jpg"
    file.write_bytes(saved("JPEG", (400, 260), quality=80))
    ran = subprocess.run(
        [sys.executable, "-c", GROWTH, str(file)],
        env={"PYTHONPATH": str(extension.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(ran.stdout) < 8 << 20
