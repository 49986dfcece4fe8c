"""The small parts: cores, settings, manifest, bodies, admission, answers."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from serving_core.admission import Admission
from serving_core.cores import usable_cores
from serving_core.errors import RequestError, StartError
from serving_core.http.predict import BodyReader, Disconnected
from serving_core.metrics import Metrics
from serving_core.models.manifest import read_classifier, read_manifest
from serving_core.settings import load_settings


def cgroup(folder: Path, membership: str, files: dict[str, str]) -> dict[str, Any]:
    (folder / "membership").write_text(membership)
    for name, content in files.items():
        path = folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return {"cgroup_root": folder / "root", "membership": folder / "membership", "affinity": 8}


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, 8),
        ("0::/\n", {"cpu.max": "200000 100000"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "20000 100000"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/../x\n", {"cpu.max": "100000 100000"}, 1),
        (
            "4:cpu,cpuacct:/docker/1\n2:memory:/docker/1\n",
            {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"},
            4,
        ),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("", {}, 8),
    ],
)
def test_cores_are_the_smaller_of_affinity_and_quota(
    tmp_path: Path, membership: str, files: dict[str, str], cores: int
) -> None:
    assert usable_cores(**cgroup(tmp_path, membership, files)) == cores


def test_affinity_bounds_the_cores_where_the_quota_is_wider(tmp_path: Path) -> None:
    given = cgroup(tmp_path, "0::/\n", {"cpu.max": "900000 100000"})
    assert usable_cores(**{**given, "affinity": 3}) == 3


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "http"), ("PORT", "70000"), ("MAX_PIXELS", "-1"), ("LOG_LEVEL", "loud"), ("LOCAL_STORE", "x")],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("TORCH_MODEL_URI", "gs://a/b")
    monkeypatch.setenv(variable, value)
    with pytest.raises(StartError, match=f"{variable}={value!r}: .*(should|input)") as caught:
        load_settings("torch", "TORCH_MODEL_URI")
    assert "\n" not in str(caught.value)


def test_settings_come_from_the_environment_and_an_empty_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_MODEL_URI", "gs://a/b")
    monkeypatch.setenv("THREADS", "")
    monkeypatch.setenv("MAX_BATCH", "7")
    settings = load_settings("torch", "TORCH_MODEL_URI")
    threads = min(usable_cores(), 32)
    assert (settings.model_uri, settings.threads, settings.max_batch) == ("gs://a/b", threads, 7)


def test_threads_are_capped_on_a_machine_of_many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_MODEL_URI", "gs://a/b")
    monkeypatch.delenv("THREADS", raising=False)
    monkeypatch.setattr("serving_core.settings.usable_cores", lambda: 192)
    assert load_settings("torch", "TORCH_MODEL_URI").threads == 32


def test_a_missing_model_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONNX_MODEL_URI", raising=False)
    with pytest.raises(StartError, match="ONNX_MODEL_URI is not set: give"):
        load_settings("onnx", "ONNX_MODEL_URI")


def manifest(**changes: object) -> bytes:
    transform = {"resize": 256, "crop": 224, "interpolation": "bilinear", "antialias": True}
    statistics = {"mean": [0.4, 0.4, 0.4], "std": [0.2, 0.2, 0.2]}
    whole = {"name": "m", "architecture": "a", "labels": ["x", "y"], "transform": transform | statistics}
    return json.dumps(whole | changes).encode()


def test_a_manifest_is_read_into_values() -> None:
    read = read_manifest(manifest(version="2", files={"w": {"bytes": 1, "sha256": "0" * 64}}), "here")
    assert (read.name, read.version, dict(read.sha256)) == ("m", "2", {"w": "0" * 64})
    classifier = read_classifier(read)
    assert (classifier.labels, classifier.transform.crop) == (("x", "y"), 224)


def test_a_model_that_is_no_classifier_needs_a_name_and_nothing_else() -> None:
    read = read_manifest(b'{"name": "wind", "unit": "km/h"}', "here")
    assert (read.name, read.version, read.fields["unit"]) == ("wind", None, "km/h")
    with pytest.raises(StartError, match="labels"):
        read_classifier(read)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", r"manifest \(input should be an object\)"),
        (manifest(name="a/b"), "name: input should be letters, digits,"),
        (manifest(files={"w": 1}), "files.w: input should be an object"),
        (manifest(version="1 "), "version"),
        (manifest(labels=["x"]), "labels"),
        (manifest(labels=["x", "x"]), "differ"),
        (manifest(transform={"resize": 1}), "transform.crop"),
        (manifest(files={"w": {"sha256": "short"}}), "sha256: input should be 64 hexadecimal digits"),
    ],
)
def test_a_wrong_manifest_is_told_by_field(text: bytes, says: str) -> None:
    with pytest.raises(StartError, match=says) as caught:
        read_classifier(read_manifest(text, "gs://b/model.json"))
    assert str(caught.value).startswith("gs://b/model.json")
    assert not re.search(r"pattern|instance of|_[A-Z]|\^", str(caught.value))


def reader(
    *chunks: bytes, headers: dict[bytes, bytes] | None = None, end: str = "http.request"
) -> BodyReader:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": end, "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return BodyReader(receive, headers or {}, Admission(1, 1000, Metrics()).hold)


def test_a_body_is_joined_and_limits_hold_while_it_streams() -> None:
    assert asyncio.run(reader(b"ab", b"cd").read(4, 1)) == b"abcd"
    with pytest.raises(RequestError) as refused:
        asyncio.run(reader(b"ab", b"cd").read(3, 1))
    assert refused.value.status == 413
    with pytest.raises(RequestError) as refused:
        reader(headers={b"content-length": b"9"}).declared(3)
    assert refused.value.status == 413
    with pytest.raises(Disconnected):
        asyncio.run(reader(b"ab", end="http.disconnect").read(4, 1))


def test_a_body_that_does_not_come_is_refused_with_408() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    with pytest.raises(RequestError) as refused:
        asyncio.run(BodyReader(receive, {}, Admission(1, 1000, Metrics()).hold).read(3, 0.01))
    assert refused.value.status == 408


def test_a_refused_body_is_read_away_unless_its_sender_waits_to_be_asked() -> None:
    assert asyncio.run(reader(b"ab", b"cd").discard(1))
    assert not asyncio.run(reader(b"ab", headers={b"expect": b"100-continue"}).discard(1))


def test_a_full_queue_asks_to_wait_as_long_as_its_work_takes() -> None:
    now = [0.0]
    admission = Admission(100, 1000, Metrics(), lambda: now[0])
    places = [admission.enter() for _ in range(100)]
    for place in places:
        now[0] += 0.5
        place.leave()
        admission.enter()
    with pytest.raises(RequestError) as refused:
        admission.enter()
    assert refused.value.status == 429
    assert refused.value.retry_after_s == 50


def test_the_queue_is_bounded_in_bytes_but_takes_one_of_any_size() -> None:
    admission = Admission(100, 1000, Metrics())
    admission.check(5000)
    admission.hold(3000, 0)
    admission.hold(2000, 3000)
    with pytest.raises(RequestError):
        admission.check(1)
    admission.release(5000)
    admission.hold(900, 0)
    admission.check(100)
    with pytest.raises(RequestError):
        admission.check(200)


def test_bodies_that_are_still_being_read_count_as_queued_bytes() -> None:
    admission = Admission(100, 1000, Metrics())

    async def scenario() -> list[bytes | BaseException]:
        arrived = asyncio.Event()

        async def one(place: int) -> bytes:
            body = bytes(400)
            messages = [{"type": "http.request", "body": body, "more_body": more} for more in (True, False)]

            async def receive() -> dict[str, Any]:
                if len(messages) == 1:
                    if place == 1:
                        arrived.set()
                    await arrived.wait()
                return messages.pop(0)

            return await BodyReader(receive, {}, admission.hold).read(1000, 10)

        return await asyncio.gather(one(0), one(1), return_exceptions=True)

    outcomes = asyncio.run(scenario())
    assert any(isinstance(outcome, RequestError) and outcome.status == 429 for outcome in outcomes)


def test_what_would_be_answered_too_late_is_refused_at_once_unless_nothing_waits() -> None:
    now = [0.0]
    admission = Admission(100, 1000, Metrics(), lambda: now[0])
    places = [admission.enter(due_s=0.1) for _ in range(20)]  # nothing is known yet: each is tried
    for place in places:
        now[0] += 0.5
        place.leave()
    for _ in range(4):
        places.append(admission.enter(due_s=now[0] + 2.1))
    with pytest.raises(RequestError) as refused:
        admission.enter(due_s=now[0] + 0.4)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 3)
    admission.enter(due_s=now[0] + 2.6).leave()
    for place in places[20:]:
        place.leave()
    admission.enter(due_s=now[0] + 0.1)


def test_answers_that_come_together_do_not_make_the_wait_look_short_or_long() -> None:
    now = [0.0]
    admission = Admission(100, 1000, Metrics(), lambda: now[0])
    for _ in range(64):
        admission.enter()
    seen = []
    for _ in range(20):
        now[0] += 1.6
        for _ in range(16):
            admission.leave(1, answered=True)
            admission.enter()
            seen.append(admission.service_s)
    assert 0.08 < min(seen[100:]) <= max(seen[100:]) < 0.125


def test_idle_time_is_not_taken_for_service_time() -> None:
    now = [0.0]
    admission = Admission(10, 1000, Metrics(), lambda: now[0])
    for _ in range(50):
        place = admission.enter()
        now[0] += 100
        place.leave()
    assert admission.service_s < 1


def test_a_request_of_many_items_counts_as_many() -> None:
    now = [0.0]
    admission = Admission(10, 1000, Metrics(), lambda: now[0])
    first, second = admission.enter(), admission.enter()
    second.claim(7)
    assert admission.waiting == 9
    with pytest.raises(RequestError) as refused:
        first.claim(2)
    assert refused.value.status == 429
    for place in (first, second):
        now[0] += 1.0
        place.leave()
    assert admission.waiting == 0


def test_large_requests_leave_room_for_the_first_items_of_others() -> None:
    admission = Admission(64, 1000, Metrics())
    places = [admission.enter() for _ in range(8)]
    for place in places[:3]:
        place.claim(15)
    with pytest.raises(RequestError) as refused:
        places[3].claim(15)
    assert refused.value.status == 429
    while admission.waiting < 64:
        places.append(admission.enter())
    places[4].claim(0)  # what has one item claims none
    with pytest.raises(RequestError):
        admission.enter()
    for place in places:
        place.leave()
    assert admission.waiting == 0


def test_a_wait_is_predicted_from_requests_because_their_items_take_turns() -> None:
    now = [0.0]
    admission = Admission(100, 1000, Metrics(), lambda: now[0])
    places = [admission.enter() for _ in range(20)]
    for place in places:
        now[0] += 0.5
        place.leave()
    admission.enter().claim(63)
    with pytest.raises(RequestError):
        admission.enter(due_s=now[0] + 0.9)
    admission.enter(due_s=now[0] + 1.1)


def test_a_deadline_later_than_usual_buys_no_place_that_others_are_refused() -> None:
    now = [0.0]
    admission = Admission(100, 1000, Metrics(), lambda: now[0], usual_s=3.2)
    places = [admission.enter() for _ in range(20)]
    for place in places:
        now[0] += 0.5
        place.leave()
    for due_s in (3.0, 3600.0, 3600.0, 3.0, 3600.0):
        admission.enter(now[0] + due_s)
    admission.enter(now[0] + 3.1)
    for due_s in (3.1, 3600.0):
        with pytest.raises(RequestError) as refused:
            admission.enter(now[0] + due_s)
        assert refused.value.status == 429
    admission.enter()  # whoever judges deadlines itself


def test_a_request_of_more_items_than_the_queue_holds_is_let_in_alone() -> None:
    admission = Admission(2, 1000, Metrics())
    alone = admission.enter()
    alone.claim(63)
    assert admission.waiting == 64
    alone.leave()
    assert admission.waiting == 0


def test_what_is_given_up_says_nothing_of_service_time() -> None:
    now = [0.0]
    admission = Admission(1000, 1000, Metrics(), lambda: now[0])
    admission.enter()
    for _ in range(100):
        place = admission.enter()
        now[0] += 0.5
        place.leave()
    for _ in range(100):
        admission.enter().leave(answered=False)
    assert admission.service_s == pytest.approx(0.5, rel=0.01)


def test_service_time_is_an_items_and_not_a_requests() -> None:
    now = [0.0]
    admission = Admission(1000, 1000, Metrics(), lambda: now[0])
    admission.enter()
    for _ in range(30):
        place = admission.enter()
        place.claim(9)
        now[0] += 1.0
        place.leave()
    assert admission.service_s == pytest.approx(0.1, rel=0.05)
