"""Images that are heavy to decode: memory stays within its share and returns, and others are answered."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.contract.refusals import check_refusal
from tests.running.rust import RUST
from tests.serving_core.odd_images import progressive, saved

MIB = 1024 * 1024
DECODE_MIB = 450
# what eight threads need beside the pixels: bodies, stacks and arrays
BESIDE_MIB = 150
LARGEST = (7071, 7071)


@pytest.fixture(scope="module", params=["torch", RUST])
def service(
    request: pytest.FixtureRequest, launch: Callable[..., Any], environment: Callable[[str], dict[str, str]]
) -> Any:
    """A service of more threads than cores, with memory for two of the largest images."""
    name = request.param
    started = launch(name, **environment(name), THREADS="8", DECODE_BYTES=str(DECODE_MIB * MIB))
    started.wait_until_ready()
    return started


def resident_mib(service: Any) -> float:
    return int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]) * 4096 / MIB


@contextmanager
def watched(look: Callable[[], float]) -> Iterator[list[float]]:
    """What `look` returns, over and over again, until the end."""
    seen: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            seen.append(look())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def at_once(service: Any, bodies: list[bytes]) -> list[Any]:
    with ThreadPoolExecutor(len(bodies)) as pool:
        return [*pool.map(lambda body: service.post(body, "application/octet-stream"), bodies)]


def test_threads_share_the_memory_and_it_returns(service: Any) -> None:
    largest = saved("PNG", Image.new("RGB", LARGEST, (9, 60, 200)), compress_level=1)
    small = saved("PNG", Image.new("RGB", (300, 200), (9, 60, 200)))
    assert {answer.status_code for answer in at_once(service, [small] * 8)} == {200}
    before = resident_mib(service)
    with watched(lambda: resident_mib(service)) as seen:
        answers = at_once(service, [largest] * 8)
    assert {answer.status_code for answer in answers} == {200}
    assert max(seen) < before + DECODE_MIB + BESIDE_MIB
    give_up = time.monotonic() + 200
    while (kept := resident_mib(service)) > before + BESIDE_MIB and time.monotonic() < give_up:
        time.sleep(0.1)
    print(f"{before:.0f} MiB before, {max(seen):.0f} MiB at most, {kept:.0f} MiB after")
    assert kept < before + BESIDE_MIB


def test_an_image_that_needs_more_than_all_memory_is_refused(service: Any) -> None:
    answer = service.post(saved("WEBP", Image.new("RGB", (6000, 5000)), method=0), "image/webp")
    assert "DECODE_BYTES" in check_refusal(answer, 413)


def test_a_jpeg_of_thousands_of_scans_is_refused_at_once_and_holds_nobody_up(service: Any) -> None:
    hostile = progressive((8000, 6000), 3000)
    assert "scans" in check_refusal(service.post(hostile), 422)
    assert service.process.poll() is None


def test_others_are_answered_while_heavy_images_are_decoded(service: Any) -> None:
    """The heaviest that are allowed, on every thread: each of their scans looks at every coefficient."""
    heavy = progressive((4000, 3000), 27)

    def answered_s() -> float:
        began = time.monotonic()
        assert service.get("/v2/health/live").status_code == 200
        return time.monotonic() - began

    begun = time.monotonic()
    with watched(answered_s) as seen:
        answers = at_once(service, [heavy] * 8)
    all_s = time.monotonic() - begun
    print(f"{len(seen)} answers, the slowest after {max(seen):.3f} s of {all_s:.3f} s")
    assert {answer.status_code for answer in answers} == {200}
    # a busy machine makes the images take longer too
    assert max(seen) < max(5, all_s / 4)


def test_a_small_request_of_very_many_pixels_is_refused_before_they_are_decoded(service: Any) -> None:
    flat = base64.b64encode(saved("GIF", Image.new("L", LARGEST))).decode()
    began = resident_mib(service)
    answer = service.post(json.dumps({"images": [flat] * 64}).encode(), "application/json")
    assert "800000000" in check_refusal(answer, 413)
    assert resident_mib(service) < began + BESIDE_MIB


def test_an_image_of_too_many_pixels_is_an_error_in_its_own_place(service: Any) -> None:
    vast = saved("PNG", Image.new("1", (8, 8)))
    vast = vast[:16] + b"\0\0\xff\xff" * 2 + vast[24:]
    both = [base64.b64encode(data).decode() for data in (vast, saved("PNG"))]
    answer = service.post(json.dumps({"images": both}).encode(), "application/json")
    assert answer.status_code == 200
    first, second = answer.json()
    assert "65535x65535" in first["error"]
    assert "prediction" in second
