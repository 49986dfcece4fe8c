"""Images are decoded in one bounded memory: they wait their turn, give it back, and never wait for ever."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from serving_core.decoding.memory import DecodingMemory
from serving_core.dispatch import Dropped
from serving_core.errors import RequestError
from serving_core.images import count_pixels, decode
from serving_core.usable_memory import usable_memory_bytes
from serving_core.wanted import working_for
from tests.serving_core.odd_images import picture, saved

ROOT = Path(__file__).parents[2]
LIMIT = 50_000_000
MIB = 1024 * 1024


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_what_an_image_takes_is_given_back_when_the_image_is_freed() -> None:
    memory = DecodingMemory(10 * MIB)
    image = decode(saved("PNG"), LIMIT, memory)
    assert 0 < memory.taken_bytes < MIB
    del image
    assert memory.taken_bytes == 0


@pytest.mark.parametrize("data", [b"", saved("PNG")[:90], saved("JPEG")[:400], b"BM" + bytes(60)])
def test_an_image_that_is_refused_takes_nothing(data: bytes) -> None:
    memory = DecodingMemory(10 * MIB)
    with pytest.raises(RequestError):
        decode(data, LIMIT, memory)
    assert memory.taken_bytes == 0


def test_an_image_that_needs_more_than_all_memory_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(RequestError) as refused:
        decode(saved("PNG", Image.new("RGB", (3000, 2000))), LIMIT, DecodingMemory(20 * MIB))
    assert refused.value.status == 413
    assert "22 MiB" in refused.value.message
    assert "DECODE_BYTES" in refused.value.message


def test_who_finds_no_memory_waits_until_it_is_given_back_in_the_order_of_arrival() -> None:
    memory, order = DecodingMemory(100), []
    give_back = memory.take(60)

    def wait(need: int) -> None:
        done = memory.take(need)
        order.append(need)
        done()

    waiting = []
    for need in (90, 50, 40):  # the smallest would fit at once, and so might others for ever
        waiting.append(in_thread(lambda need=need: wait(need)))
        time.sleep(0.05)
    assert order == []
    give_back()
    for thread in waiting:
        thread.join(100)
    assert sorted(order) == [40, 50, 90]
    assert order[0] == 90
    assert memory.taken_bytes == 0


def test_who_is_no_longer_wanted_waits_no_longer_and_holds_nobody_up() -> None:
    memory = DecodingMemory(100)
    give_back = memory.take(60)

    def gone() -> None:
        raise Dropped

    with working_for(gone), pytest.raises(Dropped):
        memory.take(90)
    memory.take(40)()
    give_back()
    assert memory.taken_bytes == 0


def test_many_threads_share_the_memory_and_all_end() -> None:
    memory, highest, failures = DecodingMemory(2 * MIB), 0, []
    data = [saved(form, picture((300, 200))) for form in ("PNG", "JPEG", "WEBP", "GIF")]

    def work(number: int) -> None:
        nonlocal highest
        for turn in range(30):
            try:
                image = decode(data[(number + turn) % len(data)], LIMIT, memory)
                highest = max(highest, memory.taken_bytes)
                del image
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                failures.append(error)

    threads = [in_thread(lambda number=number: work(number)) for number in range(8)]
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive()
    assert failures == []
    assert highest <= 2 * MIB
    assert memory.taken_bytes == 0


MAKES = {
    "rgb.png": "Image.new('RGB', SIZE, 9).save(out, 'PNG', compress_level=1)",
    "rgba.png": "Image.new('RGBA', SIZE, 9).save(out, 'PNG', compress_level=1)",
    "turned.png": "Image.new('RGBA', SIZE, 9).save(out, 'PNG', compress_level=1, exif=turned)",
    "grey_alpha.png": "Image.new('LA', SIZE, 9).save(out, 'PNG', compress_level=1)",
    "grey_16bit.png": "Image.new('I;16', SIZE, 9).save(out, 'PNG', compress_level=1)",
    "palette.png": "Image.new('P', SIZE, 9).save(out, 'PNG', compress_level=1)",
    "bilevel.png": "Image.new('1', SIZE, 1).save(out, 'PNG', compress_level=1)",
    "plain.jpg": "Image.new('RGB', SIZE, 9).save(out, 'JPEG')",
    "turned.jpg": "Image.new('RGB', SIZE, 9).save(out, 'JPEG', exif=turned)",
    "grey.jpg": "Image.new('L', SIZE, 9).save(out, 'JPEG')",
    "progressive.jpg": "Image.new('RGB', SIZE, 9).save(out, 'JPEG', progressive=True, subsampling=0)",
    "cmyk.jpg": "Image.new('CMYK', SIZE, 9).save(out, 'JPEG', progressive=True)",
    "lossy.webp": "Image.new('RGB', SIZE, 9).save(out, 'WEBP', method=0)",
    "lossless.webp": "Image.new('RGBA', SIZE, 9).save(out, 'WEBP', lossless=True, method=0, exif=turned)",
    "plain.gif": "Image.new('P', SIZE, 9).save(out, 'GIF')",
    "rgb.bmp": "Image.new('RGB', SIZE, 9).save(out, 'BMP')",
    "long.png": "Image.new('L', (9, 500000), 9).save(out, 'PNG', compress_level=1)",
}
# Each image is decoded in a process of its own, which begins with nothing to use again.
PEAKS = """
import io, os, sys
from PIL import Image
from serving_core.images import _described, decode
SIZE = (2000, 1500)
turned = Image.Exif()
turned[0x0112] = 6
def peak():
    text = open('/proc/self/status').read()
    return int(text.partition('VmHWM:')[2].split()[0]) * 1024
for line in sys.stdin.read().splitlines():
    name, _, make = line.partition(' ')
    if not os.fork():
        with open(sys.argv[1], 'wb') as out:
            exec(make)
        os._exit(0)
    os.wait()
    if os.fork():
        os.wait()
        continue
    data = open(sys.argv[1], 'rb').read()
    open('/proc/self/clear_refs', 'w').write('5')
    before = peak()
    image = decode(data, 10**8)
    print(name, _described(data)[1].memory_bytes, peak() - before, flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int]]:
    """The bytes that each image is reckoned to take, and that it takes."""
    done = subprocess.run(
        [sys.executable, "-c", PEAKS, str(tmp_path_factory.mktemp("peaks") / "image")],
        cwd=ROOT,
        input="\n".join(f"{name} {make}" for name, make in MAKES.items()),
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    return {name: (int(reckoned), int(taken)) for name, reckoned, taken in rows}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("name", MAKES)
def test_an_image_takes_no_more_memory_than_is_reckoned(name: str, peaks: dict[str, tuple[int, int]]) -> None:
    reckoned, taken = peaks[name]
    assert taken < reckoned + 2 * MIB
    assert reckoned < 2.5 * taken + 2 * MIB  # nor so much more that threads wait for nothing


def test_pixels_are_counted_from_the_header() -> None:
    large = saved("PNG", Image.new("1", (7000, 6000)))[:64]
    assert count_pixels(large, LIMIT) == 42_000_000
    assert count_pixels(saved("JPEG"), LIMIT) == picture().width * picture().height


def test_an_image_that_is_refused_by_its_header_counts_nothing() -> None:
    """It is an error in its own place, and no reason to refuse its neighbours."""
    large = saved("PNG", Image.new("1", (7000, 6000)))[:64]
    assert count_pixels(large, 41_999_999) == 0
    assert count_pixels(b"no image", LIMIT) == 0


def group(root: Path, folder: str, name: str, value: str) -> None:
    place = root / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(value + "\n")


MACHINE = "MemTotal:       8000000 kB\nMemFree: 1 kB\nMemAvailable:   3000000 kB\nHugePages_Total:       0\n"


@pytest.fixture
def usable(tmp_path: Path) -> Callable[[str], int]:
    (tmp_path / "meminfo").write_text(MACHINE)

    def made(membership: str) -> int:
        (tmp_path / "cgroup").write_text(membership)
        return usable_memory_bytes(tmp_path / "groups", tmp_path / "cgroup", tmp_path / "meminfo")

    return made


def test_a_containers_own_limit_is_what_it_may_use(tmp_path: Path, usable: Callable[[str], int]) -> None:
    group(tmp_path, "groups", "memory.max", str(512 * MIB))
    assert usable("0::/\n") == 512 * MIB
    group(tmp_path, "groups/a/b", "memory.max", "max")
    group(tmp_path, "groups/a", "memory.max", str(256 * MIB))
    assert usable("0::/a/b\n") == 256 * MIB


def test_a_limit_of_the_first_version_counts_too(tmp_path: Path, usable: Callable[[str], int]) -> None:
    group(tmp_path, "groups/memory/docker/x", "memory.limit_in_bytes", str(300 * MIB))
    group(tmp_path, "groups/memory", "memory.limit_in_bytes", "9223372036854771712")
    assert usable("4:memory:/docker/x\n1:cpu:/\n0::/\n") == 300 * MIB


@pytest.mark.parametrize("text", ["max", "9223372036854771712", "", "nonsense"])
def test_without_a_limit_it_is_what_the_machine_has_left(
    tmp_path: Path, usable: Callable[[str], int], text: str
) -> None:
    group(tmp_path, "groups", "memory.max", text)
    assert usable("0::/\n") == 3_000_000 * 1024
