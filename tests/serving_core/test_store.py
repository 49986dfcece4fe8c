"""The model's way here, against a real emulator with faults in front of it."""

import hashlib
import json
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from serving_core.errors import StartError, StoreError
from serving_core.models import buckets, sources
from serving_core.models import store as store_module
from serving_core.models.addresses import shown
from serving_core.models.connections import connection_faults
from serving_core.models.store import pull, pull_model

Put = Callable[[str, bytes], None]
WEIGHTS = bytes(range(256)) * 4096
URI = "gs://models/weather/weights.safetensors"
PROMPT_S = 0.9

# google-cloud-storage leaves the socket of a transfer that broke off to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def manifest() -> dict[str, Any]:
    return {
        "name": "weather",
        "files": {},
        "architecture": "mobilenet_v3_small",
        "labels": ["rain", "snow"],
        "transform": {
            "resize": 256,
            "crop": 224,
            "interpolation": "bilinear",
            "antialias": True,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
    }


@pytest.fixture
def published(put: Put, manifest: dict[str, Any]) -> None:
    put("weather/weights.safetensors", WEIGHTS)
    put("weather/model.json", json.dumps(manifest).encode())


def one_line(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    assert URI in text
    return text


@pytest.mark.usefixtures("published")
def test_a_model_arrives_byte_for_byte_and_a_second_start_downloads_nothing(
    store: Any, tmp_path: Path
) -> None:
    first = pull_model(URI, tmp_path, PROMPT_S, f"models={store.url}")
    assert first.path.read_bytes() == WEIGHTS
    assert first.manifest.name == "weather"
    assert not first.cached
    assert len(store.downloads()) == 2
    second = pull_model(URI, tmp_path, PROMPT_S, f"models={store.url}")
    assert second.cached
    assert second.path == first.path
    assert len(store.downloads()) == 2


@pytest.mark.usefixtures("published")
def test_the_emulator_is_also_found_by_its_environment_variable(
    emulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    assert pull(URI, tmp_path, PROMPT_S).path.read_bytes() == WEIGHTS


@pytest.mark.usefixtures("published")
def test_a_new_version_is_downloaded_and_a_damaged_cached_file_too(
    store: Any, put: Put, tmp_path: Path
) -> None:
    where = f"models={store.url}"
    first = pull(URI, tmp_path, PROMPT_S, where)
    first.path.write_bytes(WEIGHTS[:-1] + b"x")
    assert pull(URI, tmp_path, PROMPT_S, where).path.read_bytes() == WEIGHTS
    put("weather/weights.safetensors", WEIGHTS[::-1])
    assert pull(URI, tmp_path, PROMPT_S, where).path.read_bytes() == WEIGHTS[::-1]
    assert len(store.downloads()) == 3


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_retried(store: Any, answer: Any, tmp_path: Path, status: int) -> None:
    calls = count()
    store.fault = lambda _: answer(status) if next(calls) < 1 else None
    assert pull(URI, tmp_path, 30, f"models={store.url}").path.read_bytes() == WEIGHTS


@pytest.mark.usefixtures("published")
def test_a_transfer_that_breaks_off_once_is_repeated(store: Any, answer: Any, tmp_path: Path) -> None:
    calls = count()
    store.fault = lambda line: (
        answer(200, WEIGHTS, cut=1000) if "alt=media" in line and next(calls) < 1 else None
    )
    assert pull(URI, tmp_path, 30, f"models={store.url}").path.read_bytes() == WEIGHTS


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((404, b"", 0), "does not exist"),
        ((403, b"no", 0), "may not be read"),
        ((401, b"no", 0), "may not be read"),
        ((200, WEIGHTS[:-7], 0), f"{len(WEIGHTS) - 7} bytes of {len(WEIGHTS)}"),
        ((200, WEIGHTS, 1000), "ended early"),
        ((200, WEIGHTS[::-1], 0), "crc32c differs"),
        ((503, b"", 0), "could not be reached"),
    ],
)
def test_a_lasting_fault_ends_in_one_line_and_leaves_nothing_behind(
    store: Any, answer: Any, tmp_path: Path, reply: tuple[int, bytes, int], says: str
) -> None:
    status, body, cut = reply
    store.fault = lambda line: answer(status, body, cut) if "alt=media" in line else None
    with pytest.raises(StoreError) as caught:
        pull(URI, tmp_path, PROMPT_S, f"models={store.url}")
    assert says in one_line(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_down_is_named_when_the_time_is_over(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"could not be reached for 3 s"):
        # on a busy machine the client alone takes half a second to load
        pull(URI, tmp_path, 3.0, "models=http://127.0.0.1:9")


def test_a_missing_object_is_not_retried(store: Any, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        pull("gs://models/nowhere/weights.safetensors", tmp_path, 30, f"models={store.url}")
    assert len(store.seen) == 1


def test_retries_back_off_exponentially_with_jitter_and_stay_within_the_bound(
    store: Any, answer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, waits = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(store_module.time, "sleep", sleep)
    monkeypatch.setattr(store_module.time, "monotonic", lambda: now[0])
    store.fault = lambda _: answer(503)
    with pytest.raises(StoreError, match="could not be reached"):
        pull(URI, tmp_path, 20, f"models={store.url}")
    assert sum(waits) <= 20
    assert all(wait <= store_module.LONGEST_WAIT_S for wait in waits)
    assert all(
        0.5 * min(0.2 * 2**turn, 4) <= wait <= min(0.2 * 2**turn, 4) for turn, wait in enumerate(waits)
    )
    assert len(store.seen) == len(waits) + 1 > 5


def test_a_file_is_used_where_it_lies_and_checked_against_the_manifest(
    tmp_path: Path, manifest: dict[str, Any]
) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(WEIGHTS)
    manifest["files"] = {weights.name: {"bytes": len(WEIGHTS), "sha256": hashlib.sha256(WEIGHTS).hexdigest()}}
    (tmp_path / "model.json").write_text(json.dumps(manifest))
    cache = tmp_path / "cache"
    assert pull_model(weights.as_uri(), cache, PROMPT_S).path == weights
    weights.write_bytes(WEIGHTS[1:])
    with pytest.raises(StoreError, match="sha256 differs"):
        pull_model(weights.as_uri(), cache, PROMPT_S)
    weights.write_bytes(b"")
    with pytest.raises(StoreError, match="is a folder: give the address of the model's file in it"):
        pull(tmp_path.as_uri(), cache, PROMPT_S)
    with pytest.raises(StoreError, match="is malformed: give file:///path"):
        pull("file:///weights%00", cache, PROMPT_S)
    with pytest.raises(StoreError, match="is empty"):
        pull_model(weights.as_uri(), cache, PROMPT_S)
    weights.unlink()
    with pytest.raises(StoreError, match="does not exist"):
        pull_model(weights.as_uri(), cache, PROMPT_S)
    assert not cache.exists()


def test_a_web_address_is_pulled_and_cached_by_its_version(store: Any, answer: Any, tmp_path: Path) -> None:
    store.fault = lambda _: answer(200, WEIGHTS)
    uri = f"{store.url}/weather/weights.safetensors"
    assert pull(uri, tmp_path, PROMPT_S).path.read_bytes() == WEIGHTS
    store.fault = lambda _: answer(404)
    with pytest.raises(StoreError, match="does not exist"):
        pull(uri, tmp_path, PROMPT_S)


@pytest.mark.parametrize(
    "uri", ["weights", "gs://", "gs://bucket", "ftp://host/x", "http://example.com/x", "https:///x"]
)
def test_an_address_of_no_known_kind_is_refused_with_the_kinds_that_are(uri: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=re.escape(uri) + r" is not a model address: give gs://"):
        pull(uri, tmp_path, PROMPT_S)


def test_a_cache_that_cannot_be_written_is_named(store: Any, published: None, tmp_path: Path) -> None:
    del published
    blocked = tmp_path / "cache"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="MODEL_CACHE_DIR"):
        pull(URI, blocked, PROMPT_S, f"models={store.url}")


def test_a_token_and_missing_credentials_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("CLOUDSDK_AUTH_ACCESS_TOKEN", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(StartError, match="may not be read"):
        pull("gs://elsewhere/x", tmp_path, 20)


@pytest.mark.parametrize("given", ["token-of-a-test", "token-of-a-test\n"])
def test_a_token_is_sent_as_a_bearers(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", given)
    headers: dict[str, str] = {}
    buckets.credentials().apply(headers)
    assert headers["authorization"] == "Bearer token-of-a-test"


@pytest.mark.parametrize("token", ["ya29.one\ntwo", "ya29.on\N{LATIN SMALL LETTER E WITH ACUTE}", "ya29 one"])
def test_a_malformed_token_is_refused_and_not_shown(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", token)
    with pytest.raises(StoreError, match="CLOUDSDK_AUTH_ACCESS_TOKEN is not an access token") as caught:
        pull("gs://elsewhere/x", tmp_path, 20)
    assert "ya29" not in str(caught.value)


def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    malformed = pytest.raises(sources.AccessRefused, match="a header of the request is malformed")
    with malformed as caught, connection_faults():
        requests.get("http://127.0.0.1:9", headers={"Authorization": "Bearer ya29.one\n"}, timeout=120)
    assert "ya29" not in str(caught.value)


def test_a_credentials_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("CLOUDSDK_AUTH_ACCESS_TOKEN", raising=False)
    unreadable = tmp_path / "credentials.json"
    unreadable.mkdir()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(unreadable))
    with pytest.raises(StoreError, match="make it readable for the service's user") as caught:
        pull("gs://elsewhere/x", tmp_path, 20)
    assert str(caught.value).startswith(f"credentials file {unreadable}: ")
    assert "MODEL_CACHE_DIR" not in str(caught.value)


def test_a_model_that_nothing_verifies_is_refused(tmp_path: Path, manifest: dict[str, Any]) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(WEIGHTS)
    (tmp_path / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="cannot be verified: list its sha256 under files in file://"):
        pull_model(weights.as_uri(), tmp_path, PROMPT_S)


def test_a_form_that_the_manifest_does_not_list_is_refused_though_the_store_vouches_for_it(
    store: Any, put: Put, tmp_path: Path, manifest: dict[str, Any]
) -> None:
    """Weights of the model before, in a bucket where a graph of another model was published since."""
    put("again/weights.safetensors", WEIGHTS)
    manifest["files"] = {"model.onnx": {"sha256": hashlib.sha256(b"graph").hexdigest()}}
    put("again/model.json", json.dumps(manifest).encode())
    with pytest.raises(StoreError) as refusal:
        pull_model("gs://models/again/weights.safetensors", tmp_path, PROMPT_S, f"models={store.url}")
    line = str(refusal.value)
    assert "again/weights.safetensors is none of the files that gs://models/again/model.json lists" in line
    assert line.endswith("(model.onnx): give the address of one of them, or publish the model in this form")


def test_what_is_secret_in_an_address_is_used_and_never_shown(
    store: Any, answer: Any, tmp_path: Path, manifest: dict[str, Any]
) -> None:
    listed = {"weights.safetensors": {"sha256": hashlib.sha256(WEIGHTS).hexdigest()}}
    described = json.dumps({**manifest, "files": listed}).encode()
    store.fault = lambda line: answer(200, described if "model.json" in line else WEIGHTS)
    host = store.url.partition("//")[2]
    uri = f"http://name:pass@{host}/weather/weights.safetensors?key=a/b#part"
    model = pull_model(uri, tmp_path, PROMPT_S)
    assert model.path.name.endswith("-weights.safetensors")
    assert "/weather/model.json?key=a/b" in store.seen
    for status in (403, 404, 503):
        store.fault = lambda _, status=status: answer(status)
        with pytest.raises(StoreError) as caught:
            pull_model(uri, tmp_path, 0.1)
        text = str(caught.value)
        assert text.startswith(f"{store.url}/weather/weights.safetensors ")
        assert not any(secret in text for secret in ("name", "pass", "key=", "#part"))


@pytest.mark.parametrize(
    "uri",
    [
        "https://u:p@ss@host/x?k=1#f",
        "no luck with https://u:p@ss@host/x?k=1",
        "https://u:p/ss@host/x",
        "https://u:p?ss@host/x",
    ],
)
def test_an_address_is_shown_without_its_secrets(uri: str) -> None:
    assert shown(uri).rpartition(" ")[2] == "https://host/x"


def test_a_token_is_not_shown() -> None:
    assert shown("invalid header value 'Bearer ya29.token\n'") == "invalid header value 'Bearer \n'"


def test_an_address_that_is_malformed_is_shown_without_its_secrets(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        pull("https://u:p@[host/x", tmp_path, PROMPT_S)
    assert str(caught.value).startswith("https://[host/x is malformed: give gs://")
