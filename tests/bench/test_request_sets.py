"""A request set is read from its folder, with one line and its remedy for every fault."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import UsageError
from bench.measure.payloads import common_model, make_payload, payload_sets, varied_copies
from bench.model import Strategy
from bench.model.expectations import LabelExpectation, NoExpectation, TensorsExpectation
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import AS_IS, InputTensor, WholeBody, classes_of
from tests.bench.conftest import LABELS, REPOSITORY, write_images

TOKENS = {"name": "tokens", "datatype": "INT64", "shape": [1, 3], "data": [1, 2, 3]}
IMAGE = {"name": "image", "datatype": "BYTES", "shape": [1], "file": "a.jpg"}
UNCHECKED = {"compare": "unchecked"}
OUTPUT = {"name": "out", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 1]}
REQUEST = {"name": "one", "tensors": [TOKENS], "expect": {"compare": "tensors", "tensors": [OUTPUT]}}


def folder(place: Path, *requests: dict[str, Any], **changes: Any) -> Path:
    (place / "a.jpg").write_bytes(b"picture")
    content = {"schema_version": 2, "requests": requests, **changes}
    (place / "manifest.json").write_text(json.dumps(content))
    return place


def one(place: Path, **changes: Any) -> Path:
    """A set of one request with these changes; None leaves a field out."""
    request = {**REQUEST, **changes}
    return folder(place, {name: value for name, value in request.items() if value is not None})


def test_every_kind_of_body_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    (tmp_path / "body.bin").write_bytes(b"\x00\x01")
    found = read_request_set(
        folder(
            tmp_path,
            {"name": "a", "class": "seed", "tensors": [IMAGE], "expect": UNCHECKED},
            {"name": "b", "json": {"x": [1, None]}, "path": "/y?z=1", "expect": UNCHECKED},
            {"name": "c", "file": "body.bin", "method": "PUT", "headers": {"X-A": "b"}, "expect": UNCHECKED},
            {
                "name": "d",
                "weight": 3,
                "tensors": [{"name": "x", "datatype": "FP32", "shape": [2, 3], "file": "x.npy"}],
                "expect": {"compare": "tensors", "tensors": [{**OUTPUT, "shape": [2, 1]}], "rtol": 0},
            },
            {
                "name": "e",
                "tensors": [
                    {"name": "t", "datatype": "BYTES", "shape": [2], "data": ["é", ""]},
                    TOKENS | {"shape": [2, 1], "data": [1, 2]},
                ],
                "expect": UNCHECKED,
            },
            title="some",
            classes=["seed"],
        )
    )
    a, b, c, d, e = found.requests
    assert (found.title, found.classes) == ("some", ("seed",))
    assert classes_of(found.requests) == ("seed", "default")
    assert a.picture == b"picture"
    assert a.body == (InputTensor("image", "BYTES", (1,), (b"picture",), suffix="jpg"),)
    assert b.body == WholeBody(b'{"x":[1,null]}', "application/json")
    assert (b.path, b.picture, b.only_bytes) == ("/y?z=1", None, None)
    assert (c.body, c.method, c.headers) == (
        WholeBody(b"\x00\x01", "application/octet-stream"),
        "PUT",
        {"X-A": "b"},
    )
    assert isinstance(d.expect, TensorsExpectation)
    assert (d.weight, d.expect.rtol, d.expect.atol) == (3, 0, 1e-4)
    assert isinstance(d.body, tuple)
    assert np.array_equal(np.asarray(d.body[0].data), np.arange(6).reshape(2, 3))
    assert isinstance(e.body, tuple)
    assert (e.body[0].data, e.body[0].text) == (("é".encode(), b""), True)
    assert e.expect == NoExpectation()


def test_the_images_of_the_repository_are_a_set_whose_timed_classes_are_seed_and_small() -> None:
    found = read_request_set(REPOSITORY / "images")
    assert found.classes == ("seed", "small")
    assert len(found.requests) > 70
    assert all(isinstance(one.expect, LabelExpectation) and one.picture for one in found.requests)


def test_the_older_form_is_the_same_set(tmp_path: Path) -> None:
    """What a commit before this form committed is sent alike, so that the two can be compared."""
    write_images(tmp_path / "older")
    older = json.loads((tmp_path / "older" / "manifest.json").read_text())
    requests = [
        {
            "name": image["file"],
            "class": image["kind"],
            "tensors": [{**IMAGE, "file": image["file"]}],
            "expect": {
                "compare": "label",
                "label": image["expected"]["label"],
                "probabilities": dict(zip(LABELS, image["expected"]["probabilities"], strict=True)),
            },
        }
        for image in older["images"]
    ]
    before = read_request_set(tmp_path / "older")
    (tmp_path / "older" / "manifest.json").write_text(json.dumps({"schema_version": 2, "requests": requests}))
    assert read_request_set(tmp_path / "older").requests == before.requests


BAD: list[tuple[dict[str, Any], str]] = [
    ({"tensors": [{**IMAGE, "file": "b.jpg"}]}, r"has no b\.jpg: "),
    ({"tensors": [{**IMAGE, "file": "../a.jpg"}]}, r"one: \.\./a\.jpg does not lie beside the manifest: "),
    ({"tensors": [{**IMAGE, "file": "/etc/hostname"}]}, "does not lie beside the manifest: "),
    ({"tensors": [{**IMAGE, "file": "out.jpg"}]}, "leads out of the folder: "),
    ({"tensors": [{**IMAGE, "shape": [2]}]}, r"takes a whole file: let its shape be \[1\]"),
    ({"tensors": [{**IMAGE, "datatype": "FP32"}]}, r"takes numbers from a\.jpg: write an \.npy file"),
    ({"tensors": [{**TOKENS, "data": [1, 2]}]}, r"tokens has 2 elements where its shape \[1, 3\] has 3: "),
    ({"tensors": [{**TOKENS, "data": [1, 2, 2.5]}]}, "is INT64 and has an element of another kind: "),
    ({"tensors": [{**TOKENS, "data": [1, 2, True]}]}, "is INT64 and has an element of another kind: "),
    ({"tensors": [{**TOKENS, "datatype": "INT8", "data": [1, 2, 300]}]}, "too large for INT8: "),
    ({"tensors": [{**TOKENS, "datatype": "FP16", "data": [1, 2, 1e9]}]}, "too large for FP16: "),
    ({"tensors": [{**TOKENS, "datatype": "INT65"}]}, "is not a request set .*schema"),
    ({"tensors": [{**TOKENS, "shape": [], "data": [1]}]}, "has no batch: "),
    ({"tensors": [{**TOKENS, "shape": [0, 3], "data": []}]}, "has no batch: "),
    ({"tensors": [{**TOKENS, "file": "a.jpg"}]}, "has none or several of data, file: "),
    ({"tensors": [{"name": "x", "datatype": "FP32", "shape": [1]}]}, "has none or several of data, file: "),
    ({"tensors": [TOKENS, TOKENS]}, "two inputs have the same name: "),
    ({"tensors": [TOKENS, {**TOKENS, "name": "b", "shape": [3, 1]}]}, "differ in their first dimension"),
    ({"tensors": [{**IMAGE, "file": None, "data": [1]}]}, "is not a request set"),
    (
        {"tensors": [{"name": "t", "datatype": "BYTES", "shape": [1], "data": [1]}]},
        "is not text: write it in quotes",
    ),
    (
        {"tensors": [{"name": "t", "datatype": "BYTES", "shape": [1, 2], "data": ["a", "b"]}]},
        r"t is BYTES of shape \[1, 2\]: one element an item can be sent, so let",
    ),
    ({"tensors": None, "json": [2**70]}, "is not usable .*the number 11805916207174113034 is out of range"),
    ({"tensors": [{**TOKENS, "name": 'a"b'}]}, "is not a plain word: "),
    ({"tensors": []}, "is not a request set"),
    ({"json": 1}, "it has none or several of file, json, tensors: give exactly one"),
    ({"tensors": None}, "it has none or several of file, json, tensors: give exactly one"),
    ({"expect": None}, "is not a request set .*expect"),
    ({"expect": {"compare": "guess"}}, "is not a request set .*guess"),
    ({"expect": {"compare": "label", "label": "a", "probabilities": {"b": 1.0}}}, "lack its label, a: "),
    ({"expect": {"compare": "label", "label": "a", "probabilities": {"a": "x"}}}, "is not a request set"),
    ({"expect": {"compare": "top-k", "k": 2, "labels": ["a", "a"]}}, "names 1 labels for the 2 best: "),
    ({"expect": {"compare": "json", "value": 1, "ignore": ["id"]}}, "is no JSON pointer: begin it with /"),
    (
        {"expect": {"compare": "json", "value": {"a": [1]}, "tolerances": {"/a/0": 1, "/b/*": 1}}},
        r"the tolerance '/b/\*' fits no number of its value: ",
    ),
    # an object or a list is no number that may be off
    *(
        (
            {"expect": {"compare": "json", "value": {"a": [1], "b": "x"}, "tolerances": {pointer: 1}}},
            f"the tolerance '{pointer}' fits no number of its value: ",
        )
        for pointer in ("", "/a", "/b", "/a/1")
    ),
    *(
        (
            {"expect": {"compare": "json", "value": value, "ignore": ignore}},
            "what it ignores is its whole answer: ignore less, or expect `unchecked`",
        )
        for value, ignore in (
            (1, [""]),
            ({"a": 1, "b": [2]}, [""]),
            ({"a": 1, "b": [2]}, ["/*"]),
            ({"a": 1, "b": [2]}, ["/a", "/b/*"]),
            ({"a": 1, "b": [{"c": 2}, {"c": 3}]}, ["/a", "/b/*/c"]),
            ([1, 2], ["/*"]),
            ([], ["/*"]),
            ({}, ["/*"]),
        )
    ),
    ({"method": "HEAD"}, "is not a request set"),
    ({"method": "POST\n"}, "is not a request set"),
    ({"expect": {"compare": "json", "value": 1, "tolerances": {"/a": -1}}}, "is not a request set"),
    ({"expect": {"compare": "bytes"}}, "none or several of sha256, text, base64: give exactly one"),
    ({"expect": {"compare": "bytes", "base64": "!"}}, "is not base64: "),
    ({"expect": {"compare": "bytes", "sha256": "ab"}}, "is not a request set"),
    ({"expect": {"compare": "tensors", "tensors": [OUTPUT, OUTPUT]}}, "outputs have the same name: "),
    ({"expect": {"compare": "tensors", "tensors": [{**OUTPUT, "data": [1]}]}}, "out has 1 elements where"),
    ({"expect": {"compare": "tensors", "tensors": [{**OUTPUT, "data": [1, "x"]}]}}, "of another kind: "),
    ({"weight": 0}, "is not a request set"),
    ({"weight": -1}, "is not a request set"),
    ({"weight": 1e9}, "its weight 1e\\+09 is not from"),
    ({"class": "a/b"}, "is not a request set"),
    ({"class": "a" * 100}, "is too long: shorten it"),
    ({"name": "a\nb"}, "is not a request set"),
    ({"name": "\u202eb"}, "is not a plain line: "),
    ({"path": "x"}, "is not a request set"),
    ({"path": "/a b"}, "is not a request set"),
    ({"path": "/" + "a" * 5000}, "its path is too long"),
    ({"method": "get it"}, "is not a request set"),
    ({"headers": {"X-A": "b\r\nX-C: d"}}, "the header 'X-A' is not a line of ASCII: "),
    ({"headers": {"X A": "b"}}, "the header 'X A' is not a line of ASCII: "),
    *(
        ({"headers": {name: "1"}}, f"the header {name} is not a request's to set: leave it out")
        for name in ("Content-Length", "HOST", "Expect", "Transfer-Encoding", "Upgrade", "TE", "Keep-Alive")
    ),
    ({"headers": {"X-A": "1", "x-a": "2"}}, "the header 'x-a' comes twice: leave one of them out"),
    (
        {"expect": {"compare": "tensors", "tensors": [{**OUTPUT, "name": "a\nb"}]}},
        "the output's name 'a.*' is not a plain line: ",
    ),
    ({"content_type": "image/png"}, "content_type is of bodies that are sent as they are"),
    ({"tensors": None, "json": 1, "content_type": "é"}, "is not a line of ASCII: "),
    ({"strange": 1}, "is not a request set .*strange"),
]


@pytest.mark.parametrize(("changes", "told"), BAD)
def test_a_bad_manifest_is_one_line_with_the_remedy(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "set" / "out.jpg").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match=told) as refused:
        read_request_set(one(tmp_path / "set", **changes))
    line = str(refused.value)
    assert line.startswith("set/")
    assert line.isprintable()
    assert ": " in line


def test_what_is_wrong_with_a_whole_set_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 names come twice, such as 'one': "):
        read_request_set(folder(tmp_path, REQUEST, REQUEST))
    with pytest.raises(UsageError, match="no request is of class seed: the set has default"):
        read_request_set(folder(tmp_path, REQUEST, classes=["seed"]))
    for changes in ({"requests": []}, {"schema_version": 1}, {"schema_version": "2"}):
        with pytest.raises(UsageError, match="is not a request set"):
            read_request_set(folder(tmp_path, REQUEST, **changes))
    for newer in ({}, {"images": []}):
        with pytest.raises(UsageError, match="schema_version 3, and this bench reads 2: read it with the "):
            read_request_set(folder(tmp_path, REQUEST, schema_version=3, **newer))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '{"schema_version": 2, "requests": NaN}', "[" * 9999]
)
def test_what_is_no_manifest_at_all_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UsageError, match=r"manifest\.json is (not usable|not a request set)"):
        read_request_set(tmp_path)


def test_nan_is_no_number_anywhere(tmp_path: Path) -> None:
    text = json.dumps({"schema_version": 2, "requests": [REQUEST]})
    for place in ("[1, 2, 3]", "[0.5, 1]"):
        (tmp_path / "manifest.json").write_text(text.replace(place, place.replace("1", "NaN")))
        with pytest.raises(UsageError, match=r"manifest\.json is not usable"):
            read_request_set(tmp_path)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((1, 3), np.int32), r"x\.npy holds int32 of shape \[1, 3\] and tokens is INT64"),
        (np.zeros((3,), np.int64), r"holds int64 of shape \[3\]"),
        (np.array([[1, 2, "x"]], object), r"x\.npy is not an \.npy file"),
    ],
)
def test_an_array_of_another_kind_is_refused_and_nothing_is_unpickled(
    tmp_path: Path, array: Any, told: str
) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    tensor = {name: value for name, value in TOKENS.items() if name != "data"} | {"file": "x.npy"}
    with pytest.raises(UsageError, match=told):
        read_request_set(one(tmp_path, tensors=[tensor]))


def test_a_comparator_that_fits_no_answer_of_the_encoding_is_told_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    best = {"compare": "top-k", "k": 1, "labels": ["rain"]}
    (request,) = read_request_set(one(tmp_path, expect=best)).requests
    assert make_payload(request, "json").reply == "json"
    with pytest.raises(UsageError, match=r"top-k cannot compare .* to oip-json: choose --encoding json"):
        make_payload(request, "oip-json", "m")


def test_an_encoding_that_cannot_carry_the_inputs_is_refused(tmp_path: Path) -> None:
    (request,) = read_request_set(one(tmp_path)).requests
    for encoding in ("raw", "multipart", "oip-raw"):
        with pytest.raises(UsageError, match=f"{encoding} cannot carry the request one: "):
            make_payload(request, encoding, "m")


def test_bodies_that_are_sent_as_they_are_need_a_class_of_their_own(tmp_path: Path) -> None:
    whole = {"name": "two", "json": {}, "expect": UNCHECKED}
    requests = read_request_set(folder(tmp_path, REQUEST, whole)).requests
    with pytest.raises(UsageError, match="beside tensors: give each kind a class of its own"):
        payload_sets(requests, ["default"], ["json"])
    apart = read_request_set(folder(tmp_path, REQUEST, {**whole, "class": "whole"})).requests
    assert list(payload_sets(apart, ["default", "whole"], ["json", "msgpack"])) == [
        ("default", "json"),
        ("default", "msgpack"),
        ("whole", AS_IS),
    ]


def test_only_pictures_are_varied(tmp_path: Path) -> None:
    requests = read_request_set(one(tmp_path)).requests
    assert varied_copies(requests, "json", 10) == ()
    pictures = read_request_set(one(tmp_path, tensors=[IMAGE])).requests
    assert len({copy.body for copy in varied_copies(pictures, "json", 10)}) == 10


def test_a_request_keeps_its_own_path_method_and_headers(tmp_path: Path) -> None:
    changes = {"path": "/v2/models/x/infer", "method": "PUT", "headers": {"X-A": "b"}}
    (request,) = read_request_set(one(tmp_path, **changes)).requests
    made = make_payload(request, "oip-binary", None)
    assert (made.path, made.method) == ("/v2/models/x/infer", "PUT")
    assert made.headers["X-A"] == "b"
    assert made.headers["Inference-Header-Content-Length"]
    assert common_model([Strategy("a", "A", "a", 1, "/", "/", ("json",), None)], ["json"]) is None


def test_a_folder_or_a_pipe_in_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    one(tmp_path / "set", tensors=[IMAGE])
    for make in (Path.mkdir, os.mkfifo):
        place = tmp_path / "set" / "a.jpg"
        place.unlink() if not place.is_dir() else place.rmdir()
        make(place)
        with pytest.raises(UsageError, match=r"cannot be read \(.*\): "):
            read_request_set(tmp_path / "set")
