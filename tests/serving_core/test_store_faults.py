"""A model's way here when time, the disk, the cache or another start get in between."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from serving_core.errors import StoreError
from serving_core.models import store as store_module
from serving_core.models.store import pull, pull_model

Put = Callable[[str, bytes], None]
ROOT = Path(__file__).parents[2]
WEIGHTS = bytes(range(256)) * 4096
OBJECT = "faults/weights.safetensors"
URI = f"gs://models/{OBJECT}"
# root's own processes may read and write everything, which a service's may not
PLAIN = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
PYTHON = [*(PLAIN if os.getuid() == 0 else []), sys.executable, "-c"]
# a start in a process of its own; prints the refusal, or what the file holds
PULL = """
import resource, sys
from pathlib import Path
from serving_core.errors import StoreError
from serving_core.models.store import pull
uri, cache, store, longest_file_bytes = sys.argv[1:]
if int(longest_file_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(longest_file_bytes),) * 2)
try:
    found = pull(uri, Path(cache), 30, "models=" + store)
except StoreError as error:
    print(error)
    sys.exit(1)
print(found.cached, found.path.read_bytes() == bytes(range(256)) * 4096)
"""

# google-cloud-storage leaves the socket of a transfer that broke off to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def published(put: Put) -> None:
    put(OBJECT, WEIGHTS)


def start(cache: Path, store: str, longest_file_bytes: int = 0) -> subprocess.Popen[str]:
    """Begin a pull in a process without rights of its own."""
    arguments = [URI, str(cache), store, str(longest_file_bytes)]
    return subprocess.Popen([*PYTHON, PULL, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate(timeout=120)
    return process.returncode, out.strip()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("reply", "where"),
    [
        ({"body": WEIGHTS, "pause_s": 0.05}, "alt=media"),
        ({"pause_s": 600.0, "silent": True}, "alt=media"),
        ({"pause_s": 600.0, "silent": True}, "/b/models"),
        ({"body": b"{}" * 5000, "pause_s": 0.05}, "/b/models"),
    ],
    ids=["the body trickles", "no headers come", "no description comes", "the description trickles"],
)
def test_a_slow_store_is_given_the_time_there_is_and_no_more(
    store: Any, answer: Any, tmp_path: Path, reply: dict[str, Any], where: str
) -> None:
    store.fault = lambda line: answer(200, **reply) if where in line else None
    with pytest.raises(StoreError) as caught:
        pull(URI, tmp_path, 0.6, f"models={store.url}")
    assert str(caught.value) == (
        f"{URI} did not arrive within STORE_TIMEOUT_S=0.6: raise it, or use a store that answers faster"
    )
    assert not store.closed.is_set()
    assert left_in(tmp_path) == []


def test_a_model_and_its_manifest_share_the_time(store: Any, answer: Any, tmp_path: Path) -> None:
    slow = threading.Event()

    def fault(line: str) -> Any:
        if "model.json" in line:
            return answer(200, silent=True, pause_s=600)
        if not slow.is_set():
            slow.set()
            store.closed.wait(3)
        return None

    store.fault = fault
    began = store_module.time.monotonic()
    with pytest.raises(StoreError, match=r"model\.json did not arrive within STORE_TIMEOUT_S=5:"):
        pull_model(URI, tmp_path, 5, f"models={store.url}")
    assert store_module.time.monotonic() - began < 3 + 5


def test_a_request_without_an_answer_is_sent_again_within_the_time(
    store: Any, answer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving_core.models.buckets.TIMEOUT_S", (5.0, 0.2))
    calls = count()
    store.fault = lambda _: answer(200, silent=True, pause_s=600) if next(calls) < 1 else None
    assert pull(URI, tmp_path, 30, f"models={store.url}").path.read_bytes() == WEIGHTS


def test_a_model_replaced_between_its_description_and_its_download_is_described_again(
    store: Any, put: Put, tmp_path: Path
) -> None:
    def fault(line: str) -> None:
        if "alt=media" in line and len(store.downloads()) == 1:
            put(OBJECT, WEIGHTS[::-1])

    store.fault = fault
    assert pull(URI, tmp_path, 30, f"models={store.url}").path.read_bytes() == WEIGHTS[::-1]
    assert len(store.downloads()) == 2
    assert pull(URI, tmp_path, 30, f"models={store.url}").cached
    assert len(left_in(tmp_path)) == 1


def test_a_web_address_whose_file_was_replaced_after_a_broken_transfer_is_described_again(
    store: Any, answer: Any, tmp_path: Path
) -> None:
    calls = count()

    def fault(_: str) -> Any:
        broken = next(calls) < 1
        return answer(200, WEIGHTS, cut=1000 if broken else 0, version="old" if broken else "new")

    store.fault = fault
    first = pull(f"{store.url}/weights", tmp_path, 30)
    assert not first.cached
    assert len(store.seen) == 2
    assert pull(f"{store.url}/weights", tmp_path, 30).path == first.path


@pytest.mark.parametrize("size_bytes", [64 * 1024, 4096])
def test_a_full_disk_ends_the_start_in_one_line_and_leaves_nothing_behind(
    store: Any, tmp_path: Path, size_bytes: int
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(disk)]
    mounted = subprocess.run(["mount", *options], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root can make a small disk; the limit on a file's size stands in for it")
    try:
        with pytest.raises(StoreError) as caught:
            pull(URI, disk, 30, f"models={store.url}")
        assert left_in(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert str(caught.value) == (
        f"{URI} cannot be kept in MODEL_CACHE_DIR={disk} (No space left on device): make room or grant access"
    )


def test_a_file_too_large_to_keep_ends_the_start_in_one_line(store: Any, tmp_path: Path) -> None:
    status, said = end(start(tmp_path, store.url, longest_file_bytes=len(WEIGHTS) // 2))
    assert (status, said) == (
        1,
        f"{URI} cannot be kept in MODEL_CACHE_DIR={tmp_path} (File too large): make room or grant access",
    )
    assert left_in(tmp_path) == []


def test_two_starts_at_once_on_one_cache_both_get_whole_files(store: Any, tmp_path: Path) -> None:
    together = threading.Barrier(2)

    def fault(line: str) -> None:
        if "alt=media" in line:
            together.wait(timeout=120)  # both have begun to download

    store.fault = fault
    both = [start(tmp_path, store.url) for _ in range(2)]
    assert [end(process) for process in both] == [(0, "False True")] * 2
    assert len(store.downloads()) == 2
    (kept,) = tmp_path.iterdir()
    assert kept.read_bytes() == WEIGHTS


def test_no_reader_ever_sees_a_half_written_file(store: Any, answer: Any, tmp_path: Path) -> None:
    where = f"models={store.url}"
    path = pull(URI, tmp_path, 30, where).path
    path.write_bytes(b"damaged")
    seen: list[bytes] = []

    def fault(line: str) -> Any:
        seen.append(path.read_bytes())
        return answer(200, WEIGHTS, cut=1000) if "alt=media" in line and len(seen) < 3 else None

    store.fault = fault
    assert pull(URI, tmp_path, 30, where).path.read_bytes() == WEIGHTS
    assert seen == [b"damaged"] * len(seen)
    assert len(seen) > 2


@pytest.mark.parametrize("damage", ["shorter", "changed", "empty", "unreadable"])
def test_a_damaged_cached_file_is_fetched_again(store: Any, tmp_path: Path, damage: str) -> None:
    assert end(start(tmp_path, store.url)) == (0, "False True")
    (kept,) = tmp_path.iterdir()
    if damage == "unreadable":
        kept.chmod(0)
    else:
        kept.write_bytes({"shorter": WEIGHTS[:-1], "changed": b"x" + WEIGHTS[1:], "empty": b""}[damage])
    assert end(start(tmp_path, store.url)) == (0, "False True")
    assert end(start(tmp_path, store.url)) == (0, "True True")
    assert left_in(tmp_path) == [kept.name]


def test_a_cache_that_may_only_be_read_serves_what_it_holds_and_is_named_when_it_does_not(
    store: Any, put: Put, tmp_path: Path
) -> None:
    assert end(start(tmp_path, store.url)) == (0, "False True")
    tmp_path.chmod(0o555)
    assert end(start(tmp_path, store.url)) == (0, "True True")
    put(OBJECT, WEIGHTS[::-1])
    status, said = end(start(tmp_path, store.url))
    assert (status, said) == (
        1,
        f"{URI} cannot be kept in MODEL_CACHE_DIR={tmp_path} (Permission denied): make room or grant access",
    )


def test_what_a_killed_start_left_is_removed_once_it_is_old(store: Any, tmp_path: Path) -> None:
    abandoned, young = tmp_path / ".pull-abandoned", tmp_path / ".pull-young"
    for path in (abandoned, young):
        path.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    kept = pull(URI, tmp_path, 30, f"models={store.url}").path
    assert left_in(tmp_path) == sorted([young.name, kept.name])


def test_a_local_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(WEIGHTS)
    weights.chmod(0)
    arguments = [weights.as_uri(), str(tmp_path), "http://127.0.0.1:9", "0"]
    made = subprocess.run([*PYTHON, PULL, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 1
    assert made.stdout == (
        f"{weights.as_uri()} cannot be read (Permission denied): grant this service's user read access\n"
    )


def test_a_manifest_whose_digest_is_not_the_models_is_refused_though_the_store_vouches_for_both(
    store: Any, put: Put, tmp_path: Path
) -> None:
    listed = {"weights.safetensors": {"sha256": "0" * 64}}
    put("faults/model.json", json.dumps({"name": "weather", "files": listed}).encode())
    with pytest.raises(StoreError) as caught:
        pull_model(URI, tmp_path, 30, f"models={store.url}")
    assert str(caught.value) == (
        f"{URI} is not the file that gs://models/faults/model.json lists (sha256 differs): publish both again"
    )
