"""Every way to send an image reaches a real server and is judged by what comes back."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from PIL import Image

from bench.cores import Cores
from bench.errors import UsageError
from bench.load.launch import Drive, Target
from bench.measure.held_promises import wrong_answers
from bench.measure.http_client import complaint
from bench.measure.payloads import (
    MOST_COPY_BYTES,
    common_model,
    fitting_encodings,
    make_payload,
    payload_sets,
    varied_copies,
)
from bench.measure.runtime.instance import StrategyStartError
from bench.measure.runtime.process_runtime import ProcessRuntime
from bench.measure.runtime.registry import load_registry
from bench.measure.steps.loop import can_loop, run_loop
from bench.measure.steps.parity import ask_all
from bench.model import OUTCOMES, PLAIN, Access, ClosedLoad, Strategy
from bench.model.expectations import LabelExpectation, NoExpectation
from bench.request_sets.encodings import ENCODINGS, TENSOR_ENCODINGS, known, split_names
from bench.request_sets.older_set import image_input
from bench.request_sets.reader import read_request_set
from bench.request_sets.replies import FORMS
from bench.request_sets.request_set import InputTensor, SetRequest
from tests.bench.conftest import REPOSITORY, write_images

ALL = ("json", "raw", "multipart", "msgpack", "oip-json", "oip-binary", "oip-raw")
RIGHT = LabelExpectation("rain", {"rain": 0.9, "snow": 0.1})
IMAGE = SetRequest("a.jpg", image_input("a.jpg", b"\xff\xd8 an image \xff\xd9"), RIGHT, "seed")
STUB = Strategy("stub", "Stub", "stub", 8080, "/predict/", "/ready", ALL, None, model="stub")


@dataclass(frozen=True, slots=True)
class At:
    """Where an instance listens, as far as parity needs it."""

    port: int
    host: str = "127.0.0.1"
    access: Access = PLAIN


@pytest.fixture
def images(tmp_path: Path) -> tuple[SetRequest, ...]:
    """The image set that the stub knows."""
    write_images(tmp_path / "images")
    return read_request_set(tmp_path / "images").requests


@pytest.fixture(scope="module")
def real_images() -> tuple[SetRequest, ...]:
    """The image set of the repository."""
    return read_request_set(REPOSITORY / "images").requests


@pytest.fixture(scope="module")
def onnx(launch: Callable[..., Any], environment: Callable[[str], dict[str, str]]) -> Iterator[At]:
    """The real ONNX service as a process, ready."""
    running = launch("onnx", **environment("onnx"))
    running.wait_until_ready()
    yield At(running.port)
    running.stop()


def test_the_table_has_every_encoding_of_one_image_and_reads_each_ones_answer() -> None:
    assert TENSOR_ENCODINGS == ALL
    assert {encoding.reply for encoding in ENCODINGS.values()} == set(FORMS)


def test_parity_sends_every_image_in_every_encoding_of_a_strategy(
    stub_server: Callable[..., int], images: tuple[SetRequest, ...]
) -> None:
    assert wrong_ones(At(stub_server(delay_s=0)), STUB, images) == []


def wrong_ones(instance: At, strategy: Strategy, images: Sequence[SetRequest]) -> list[str]:
    """The wrong answers that parity finds."""
    answers = ask_all(instance, strategy, images)  # type: ignore[arg-type]  # only host and port are used
    return wrong_answers(strategy, answers)


@pytest.mark.parametrize("encoding", ALL)
def test_a_wrong_answer_is_found_in_every_encoding(
    stub_server: Callable[..., int], images: tuple[SetRequest, ...], encoding: str
) -> None:
    port = stub_server(delay_s=0, wrong_every=4)
    found = wrong_ones(At(port), replace(STUB, encodings=(encoding,)), images)
    assert len(found) == len(images) // 4
    assert found[0].startswith(f"stub on seed_3.jpg as {encoding}: answered ")
    assert found[0].isprintable()


def test_a_wrong_model_name_is_no_answer_where_the_path_has_it(
    stub_server: Callable[..., int], images: tuple[SetRequest, ...]
) -> None:
    found = wrong_ones(At(stub_server(delay_s=0)), replace(STUB, model="other"), images[:1])
    assert [line.partition(" as ")[2] for line in found] == [
        f'{name}: status 404 {{"error": "no such model"}}' for name in ("oip-json", "oip-binary", "oip-raw")
    ]


@pytest.mark.parametrize("encoding", ALL)
def test_the_real_service_answers_every_image_in_every_encoding(
    onnx: At, real_images: tuple[SetRequest, ...], encoding: str
) -> None:
    strategy = replace(STUB, encodings=(encoding,), model="weather")
    assert len(real_images) > 70
    assert wrong_ones(onnx, strategy, real_images) == []


@pytest.mark.parametrize("encoding", ALL)
def test_the_real_service_is_found_wrong_where_another_answer_is_expected(
    onnx: At, real_images: tuple[SetRequest, ...], encoding: str
) -> None:
    image = real_images[0]
    right = image.expect
    assert isinstance(right, LabelExpectation)
    other = next(label for label in right.probabilities if label != right.label)
    shifted = {**right.probabilities, other: right.probabilities[other] + 0.05}
    for expect in (LabelExpectation(other, right.probabilities), LabelExpectation(right.label, shifted)):
        wrong = replace(image, expect=expect)
        payload = make_payload(wrong, encoding, "weather")
        assert complaint(onnx.host, onnx.port, "/predict/", payload) is not None


@pytest.mark.parametrize("encoding", ["json", "multipart", "oip-binary"])
def test_the_real_service_answers_copies_as_it_does_the_images(
    onnx: At, real_images: tuple[SetRequest, ...], encoding: str
) -> None:
    copies = varied_copies(real_images, encoding, len(real_images), "weather")
    assert len(copies) == len(real_images)
    assert [complaint(onnx.host, onnx.port, "/predict/", copy) for copy in copies] == [None] * len(copies)


def test_the_services_register_every_encoding_and_their_models_name() -> None:
    strategies = load_registry(REPOSITORY, {}).strategies
    model = json.loads((REPOSITORY / "model" / "model.json").read_text())["name"]
    for name in ("torch", "onnx", "batched", "unbatched"):
        assert (strategies[name].encodings, strategies[name].model) == (ALL, model), name
    assert strategies["mosec"].encodings == ("json", "raw")


def test_a_models_name_is_quoted_in_the_path() -> None:
    assert make_payload(IMAGE, "oip-raw", "a b/c?").path == "/v2/models/a%20b%2Fc%3F/infer"
    assert make_payload(IMAGE, "json", "a b").path is None


def test_an_encoding_that_names_the_model_asks_for_its_name() -> None:
    with pytest.raises(UsageError, match=r"oip-json names the model in its path: .* bench\.model"):
        make_payload(IMAGE, "oip-json")


def test_one_models_name_is_taken_and_several_are_refused_only_where_it_matters() -> None:
    other = replace(STUB, name="other", model="weather")
    assert common_model([STUB, replace(STUB, name="b")], ALL) == "stub"
    assert common_model([STUB, other], ["json", "raw", "multipart", "msgpack"]) is None
    with pytest.raises(UsageError, match=r"^oip-json, oip-raw: .* stub \(stub\), weather \(other\): choose"):
        common_model([STUB, other], ["json", "oip-json", "oip-raw"])


@pytest.mark.parametrize(
    ("text", "names"), [("json", ("json",)), ("raw, json,raw", ("raw", "json")), (",".join(ALL), ALL)]
)
def test_encodings_are_named_with_commas_between(text: str, names: tuple[str, ...]) -> None:
    assert split_names(text) == names


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("jsn", "unknown encoding jsn: there are json, raw, multipart"),
        ("json,oip,grpc", "unknown encoding oip, grpc: there are"),
        ("json,", "unknown encoding without a name: there are"),
        ("", "unknown encoding without a name: there are"),
    ],
)
def test_an_encoding_that_does_not_exist_is_one_clear_line(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"^{told}"):
        split_names(text)


def test_no_encoding_at_all_is_told_too() -> None:
    with pytest.raises(UsageError, match=r"^no encoding is named: there are json"):
        known([])


def test_payloads_of_several_encodings_are_kept_by_class_and_encoding(
    images: tuple[SetRequest, ...],
) -> None:
    sets = payload_sets(images, ["small", "seed"], ["json", "oip-raw"], "m")
    assert {key: len(payloads) for key, payloads in sets.items()} == {
        ("small", "json"): 3,
        ("small", "oip-raw"): 3,
        ("seed", "json"): 5,
        ("seed", "oip-raw"): 5,
    }
    assert list(sets) == [("small", "json"), ("small", "oip-raw"), ("seed", "json"), ("seed", "oip-raw")]
    for (payload_class, encoding), payloads in sets.items():
        assert {(p.payload_class, p.encoding) for p in payloads} == {(payload_class, encoding)}


def test_what_is_not_there_is_a_usage_error_of_payload_sets(images: tuple[SetRequest, ...]) -> None:
    with pytest.raises(UsageError, match="no request of class large: the set has seed, small"):
        payload_sets(images, ["large"], ["json"])
    with pytest.raises(UsageError, match="unknown encoding xml"):
        payload_sets(images, ["seed"], ["json", "xml"])


def test_copies_have_the_images_pixels_and_no_body_twice(real_images: tuple[SetRequest, ...]) -> None:
    copies = varied_copies(real_images, "raw", 2 * len(real_images))
    bodies = {copy.body for copy in copies} | {image.picture for image in real_images}
    assert len(bodies) == 3 * len(real_images)
    formats = set()
    for copy, image in zip(copies, real_images, strict=False):
        assert (copy.name, copy.expect) == (image.name, image.expect)
        with Image.open(io.BytesIO(copy.body)) as one, Image.open(io.BytesIO(image.picture or b"")) as other:
            assert (one.size, one.mode, one.getexif()) == (other.size, other.mode, other.getexif())
            assert one.tobytes() == other.tobytes(), image.name
            formats.add(one.format)
    assert formats >= {"JPEG", "PNG", "WEBP"}


@pytest.mark.parametrize("encoding", ALL)
def test_copies_are_all_different_in_every_encoding(encoding: str) -> None:
    # images of which one is the other's beginning, and two that are the same
    contents = (b"a", b"ab", b"ab")
    copies = varied_copies([IMAGE.with_picture(content) for content in contents], encoding, 300, "m")
    assert len({copy.body for copy in copies}) == len(copies) == 300


@pytest.mark.parametrize("encoding", ["json", "raw"])
def test_copies_are_no_more_than_their_memory_allows(encoding: str) -> None:
    image = IMAGE.with_picture(bytes(1024 * 1024))
    copies = varied_copies([image], encoding, 1000)
    size = sum(len(copy.body) for copy in copies)
    assert size <= MOST_COPY_BYTES < size + len(copies[0].body)
    assert varied_copies([image], encoding, 1000, most_bytes=1000) == ()
    assert varied_copies([], encoding, 1000) == ()


def test_the_stub_answers_copies_rightly_too(
    stub_server: Callable[..., int], images: tuple[SetRequest, ...]
) -> None:
    port = stub_server(delay_s=0)
    for encoding in ALL:
        copies = varied_copies(images, encoding, 3 * len(images), "stub")
        wrong = [complaint("127.0.0.1", port, "/predict/", copy) for copy in copies]
        assert wrong == [None] * (3 * len(images)), encoding


@pytest.mark.parametrize("encoding", ALL)
def test_a_loop_takes_what_a_body_and_its_type_say_and_refuses_the_rest(
    project: Path, images: tuple[SetRequest, ...], encoding: str
) -> None:
    registry = load_registry(project, {})
    runtime = ProcessRuntime(registry, Cores((0,), (0,), (0,)))
    payloads = payload_sets(images, ["small"], [encoding], "stub")["small", encoding]
    try:
        if can_loop(payloads):
            loops = run_loop(runtime, registry.strategies["fast"], payloads, 0.05)
            assert loops[0].loop.part == "whole"
            assert loops[0].loop.requests_per_s[0] > 0
        else:
            with pytest.raises(StrategyStartError, match="fast: a loop takes json, raw, multipart alone"):
                run_loop(runtime, registry.strategies["fast"], payloads, 0.05)
    finally:
        runtime.close()
    assert can_loop(payloads) is (encoding in ("json", "raw", "multipart"))


def test_the_driver_sends_and_reads_every_encoding(
    stub_server: Callable[..., int], images: tuple[SetRequest, ...], tmp_path: Path
) -> None:
    payloads = [make_payload(image, encoding, "stub") for encoding in ALL for image in images[-2:]]
    target = Target("127.0.0.1", stub_server(delay_s=0), "/predict/")
    load = ClosedLoad(clients=2, warmup_s=0.1, window_s=1.0)
    driving = Drive(target, payloads, load, 1, tmp_path)
    try:
        samples = driving.finish().samples
    finally:
        driving.close()
    assert set(samples.payload) == set(range(len(payloads)))
    wrong = {payloads[n].encoding for n in samples.payload[samples.outcome != OUTCOMES.index("ok")]}
    assert wrong == set()


def numbers(*values: float) -> SetRequest:
    """A request of one tensor of these numbers."""
    tensor = InputTensor("signal", "FP32", (1, len(values)), np.array([values], np.float32))
    return SetRequest("one", (tensor,), NoExpectation())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("encoding", ["json", "oip-json"])
def test_a_number_that_json_cannot_carry_is_refused_and_not_sent_as_null(value: float, encoding: str) -> None:
    request = numbers(0.5, value)
    with pytest.raises(UsageError) as refusal:
        make_payload(request, encoding, "m")
    assert str(refusal.value) == (
        "one: signal[1] is not a finite number, which JSON cannot carry: "
        "choose --encoding msgpack or oip-binary"
    )
    assert make_payload(numbers(0.5, 1.5), encoding, "m").body


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_other_encodings_carry_it_and_it_is_sent_in_no_others(value: float) -> None:
    request = numbers(0.5, value)
    assert fitting_encodings(request, ALL) == ("msgpack", "oip-binary")
    sent = msgpack.unpackb(make_payload(request, "msgpack").body)["signal"]
    assert np.array_equal(np.array(sent, np.float32), [0.5, value], equal_nan=True)
    body = make_payload(request, "oip-binary", "m").body
    assert np.array_equal(np.frombuffer(body[-8:], np.float32), [0.5, value], equal_nan=True)
