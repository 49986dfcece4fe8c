"""The Rust service's codecs beside serving_core's: the same items, answers and refusals for any request."""

import base64
import json
import random
import re
import struct
import subprocess
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import msgpack
import numpy as np
import pytest

from serving_core.calls import Call, Headers, Outcome, Signature
from serving_core.classifier import ImageClassifier
from serving_core.codecs import encodings, oip
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, TensorSpec
from tests.running.rust import rust_target

pytestmark = pytest.mark.rust

LABELS = ("rime", "dew", 'gr\u00fcn "\u0001"')
SEED = 20
COUNT = 6000
# the words between these are the parser's own
PARSER = re.compile(r"(is not JSON|is not msgpack) \(.*\): send", re.DOTALL)
JSON = "application/json"
OCTETS = "application/octet-stream"
FORM = "multipart/form-data; boundary=b"
MSGPACK = "application/msgpack"

Request = dict[str, Any]


def request(
    body: bytes, kind: str | None, protocol: str = "predict", query: str | None = None, **headers: str
) -> Request:
    """Return a request as the example program reads it; names in `headers` have _ for -."""
    sent = [] if kind is None else [["content-type", kind]]
    sent += [[name.replace("_", "-"), value] for name, value in headers.items()]
    return {"protocol": protocol, "headers": sent, "query": query, "body": body}


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def form(*parts: tuple[str, bytes], end: bytes = b"--b--\r\n") -> bytes:
    head = b"--b\r\n%b\r\n\r\n%b\r\n"
    return b"".join(head % (lines.encode(), content) for lines, content in parts) + end


FILE = 'Content-Disposition: form-data; name="file"; filename="a;.png"'
FIELD = "Content-Disposition: form-data; name=meta"
LENGTH = "inference_header_content_length"


def tensor(**changes: Any) -> dict[str, Any]:
    whole = {
        "name": "image",
        "shape": [2],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [encoded(b"one"), encoded(b"four")],
    }
    return {**whole, **changes}


def infer(text: Any, behind: bytes = b"", kind: str | None = JSON, length: int | None = None) -> Request:
    header = text if isinstance(text, bytes) else json.dumps(text).encode()
    if not behind and length is None:
        return request(header, kind, "infer")
    return request(header + behind, None, "infer", **{LENGTH: str(len(header) if length is None else length)})


def lengthened(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


BINARY = lengthened(b"one", b"four")
SEEDS: list[Request] = [
    request(json.dumps({"image": encoded(b"picture")}).encode(), JSON, query="top_k=2"),
    request(json.dumps({"images": [encoded(b"1"), "?", 7, None, encoded(b"12")][:4]}).encode(), JSON),
    request(b' {\n"image" :"cGljdHVyZQ\\u003d=" } ', JSON),
    request(b'{"image": "YR==", "image": "YWJ="}', "Application/JSON ; charset=utf-8"),
    request(msgpack.packb({"image": b"picture"}), MSGPACK, query="&top_k=%33&"),
    request(msgpack.packb({"images": [b"1", b"", "x", 2.5]}), MSGPACK),
    request(msgpack.packb({"images": [b"1", b"2"], "other": {"a": [1, None, True, -3]}}), MSGPACK),
    request(b"picture", OCTETS, query="top_k=10"),
    request(b"picture", "image/webp", query="top=1"),
    request(form((FILE, b"one")), FORM),
    request(form((FILE, b"\r\n--bX one"), (FILE + "\r\nContent-Type: image/png", b"")), FORM),
    request(form((FIELD, b"x"), (FILE, b"one")), 'multipart/form-data; boundary="b"'),
    request(form((FIELD + "\r\nContent-Type: image/x", b"x"), (FILE, b"1"), (FILE, b"2")), FORM),
    infer({"id": "one", "inputs": [tensor()]}),
    infer({"inputs": [tensor(shape=[2, 1], data=[[encoded(b"one")], ["YQ=="]])]}),
    infer({"inputs": [tensor(parameters={})], "outputs": [{"name": "label"}, {"name": "probabilities"}]}),
    infer({"inputs": [tensor(parameters={"content_type": "str"})], "parameters": {"content_type": "base64"}}),
    infer({"inputs": [tensor()], "outputs": [{"name": "label", "parameters": {"binary_data": True}}]}),
    infer(
        {
            "inputs": [tensor(parameters={"binary_data_size": len(BINARY)}, data=None)],
            "parameters": {"binary_data_output": True},
            "outputs": [{"name": "label", "parameters": {"binary_data": False, "classification": 0}}],
        },
        BINARY,
    ),
    infer(b"", BINARY, length=0),
    infer({"inputs": [tensor()]}, b" tail"),
]

VALUES: list[Any] = [
    *(None, True, False, 0, 1, 2, 5, -1, 1.5, 2**63, 2**64, 2**70, 1e300, "", "x", "str", "base64", "BYTES"),
    *(
        [],
        [[]],
        [1],
        [2, 1],
        [2, 1, 1],
        ["YQ=="],
        [["YQ=="]],
        {},
        {"a": []},
        "\u00e9\u4e2d\u200b'\"",
        "z" * 90,
    ),
    *("\u00e9", "YQ", "YQ==", "YQ==\n", "Y===", "ab*=", "image", "logits", "\x7f\xa0\xad"),
]
NAMES = ["image", "images", "inputs", "outputs", "parameters", "id", "name", "shape", "data", "datatype"]
NAMES += ["content_type", "binary_data_size", "binary_data", "classification", "shared_memory_region", "x"]
PIECES = [b"", b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"null", b"-1", b"1e400", b"\xff", b"\x00"]
PIECES += [b"--b", b"\r\n", b"\r\n--b", b"\r\n--b--", b"\r\n--b \t\r\n", b";", b"=", b"\\u0041", b"\\ud800"]
PIECES += [b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xdc\x01\x02", b"\xc7\x00\x05", b"\x90", b"\x80", b"\xa1\xff"]
PIECES += [b"YQ==", b"\x0c", b" ", b"\xef\xbb\xbf", b"9" * 25, b"Content-Type: text/plain\r\n", b"a: b\r\n"]
KINDS: list[str | None] = [
    None,
    JSON,
    MSGPACK,
    OCTETS,
    FORM,
    "image/jpeg",
    "image/gif",
    "text/plain",
    "",
    ";",
]
KINDS += ["\u00c4\u00ff\xad;x", "it's", '"', "\\", "\t application/json\t;", "multipart/form-data"]
KINDS += ['multipart/form-data; boundary="b"', "multipart/form-data; BOUNDARY = b ; x", "x" * 200]
KINDS += ['multipart/form-data; a=";\\";boundary=c"; boundary=b', "multipart/form-data; boundary*=b"]
KINDS += ["multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 71]
QUERIES: list[str | None] = [None, "", "&", "top_k", "top_k=", "top_k=0", "top_k=01", "top_k=2&&", "top_k=3&"]
QUERIES += ["top_k=%33", "top_k=+1", "%74op_k=1", "top_k=1&top_k=2", "top_k=" + "9" * 30, "top_k=1=1", "=1"]
QUERIES += ["k\u00e9=1", "%ff%41=1", "%e4%b8%ad'=1", "top_k=\u0663", "%", "%4", "%zz=1", "a+b%0a%7f%c2%ad=1"]
LENGTHS = ["0", "1", "7", "99999", "-1", "", "1e2", "9" * 30, "007", " 5", "5_0", "\u00b2"]


def containers(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict | list) else []
    return own + [one for part in inner for one in containers(part)]


def edit(rng: random.Random, value: Any) -> None:
    """Change a parsed body in one place."""
    place = rng.choice(containers(value) or [[]])
    if isinstance(place, dict):
        name = rng.choice([*place, *NAMES])
        if rng.random() < 0.2:
            place.pop(name, None)
        else:
            place[name] = deepcopy(rng.choice(VALUES))
    elif place and rng.random() < 0.7:
        place[rng.randrange(len(place))] = deepcopy(rng.choice(VALUES))
    elif rng.random() < 0.5:
        place.append(deepcopy(rng.choice(VALUES)))
    else:
        place.extend(deepcopy(place[:3]))


def edited(rng: random.Random, body: bytes, kind: str) -> bytes:
    """Return JSON or msgpack with some values changed; the body itself if it is neither."""
    try:
        value = json.loads(body) if kind == JSON else msgpack.unpackb(body)
    except ValueError:
        return body
    for _ in range(rng.randint(1, 3)):
        edit(rng, value)
    try:
        return json.dumps(value).encode() if kind == JSON else msgpack.packb(value)
    except (ValueError, OverflowError):
        return body


def spliced(rng: random.Random, body: bytes) -> bytes:
    """Return a body with bytes replaced, inserted or cut off."""
    at = rng.randint(0, len(body))
    match rng.randrange(4):
        case 0:
            return body[:at] + rng.choice(PIECES) + body[at:]
        case 1:
            return body[:at] + rng.choice(PIECES) + body[at + rng.randint(1, 4) :]
        case 2:
            return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]
    return body[:at]


def mutated(rng: random.Random) -> Request:
    made = {**rng.choice(SEEDS)}
    kind = dict(made["headers"]).get("content-type")
    if rng.random() < 0.6:
        text = JSON if kind == JSON else MSGPACK
        made["body"] = edited(rng, made["body"], text)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        made["body"] = spliced(rng, made["body"])
    if rng.random() < 0.15:
        made["headers"] = [pair for pair in made["headers"] if pair[0] != "content-type"]
        sent = rng.choice(KINDS)
        made["headers"] += [] if sent is None else [["content-type", sent]]
    if rng.random() < 0.1:
        made["headers"] = [*made["headers"], [LENGTH.replace("_", "-"), rng.choice(LENGTHS)]]
    if rng.random() < 0.05:
        made["headers"] = [
            *made["headers"],
            ["content-encoding", rng.choice(["gzip", " Identity", "", "br"])],
        ]
    if rng.random() < 0.2:
        made["query"] = rng.choice(QUERIES)
    if rng.random() < 0.05:
        made["protocol"] = rng.choice(["predict", "infer"])
    made["softmax"] = rng.random() < 0.3
    made["version"] = rng.choice([None, "1"])
    return made


def signature_of(sent: Request) -> Signature:
    handler = ImageClassifier()
    handler.labels = LABELS
    scores = [] if sent["softmax"] else [TensorSpec("logits", "FP32", (3,))]
    outputs = (*scores, TensorSpec("probabilities", "FP32", (3,)), TensorSpec("label", BYTES, text=True))
    inputs = (TensorSpec("image", BYTES),)
    return Signature("weather", sent["version"], "test", inputs, outputs, handler.answer, 4)


def outcome(item: Any) -> Outcome:
    """Return outputs that follow from an item's hash, as the example program makes them."""
    if isinstance(item, RequestError):
        return item
    digest = hashed(item["image"])
    if digest[0] % 8 == 0:
        return RequestError(422, "this is not an image: send one")
    logits = np.array([(byte - 128) / 7 for byte in digest[:3]]).astype(np.float32)
    probabilities = np.array([fifth(byte / 765) for byte in digest[3:6]])
    return {"logits": logits, "probabilities": probabilities, "label": LABELS[digest[6] % 3]}


def hashed(content: bytes) -> bytes:
    """Return a content's FNV-1a hash."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value.to_bytes(8, "little")


def fifth(base: float) -> float:
    """Return the fifth power, multiplied in the order of the example program."""
    return (base * base) * (base * base) * base


def refused(error: RequestError) -> dict[str, Any]:
    return {"status": error.status, "message": error.message}


def expected(sent: Request) -> dict[str, Any]:
    """Return what serving_core makes of a request."""
    signature = signature_of(sent)
    headers: Headers = {
        name.encode(): value.encode("latin-1").strip(b" \t") for name, value in sent["headers"]
    }
    try:
        if sent["protocol"] == "infer":
            call: Call = oip.choose(headers, signature)(sent["body"])
        else:
            query = (sent["query"] or "").encode()
            call = encodings.choose(headers, query, signature)(sent["body"])
    except RequestError as error:
        return refused(error)
    items = [
        refused(item) if isinstance(item, RequestError) else encoded(item["image"]) for item in call.items
    ]
    return {"items": items, "answer": answered(call)}


def answered(call: Call) -> dict[str, Any]:
    try:
        answer = call.encode([outcome(item) for item in call.items])
    except RequestError as error:
        return refused(error)
    headers = [[name.decode(), value.decode()] for name, value in answer.headers]
    return {"type": answer.content_type.decode(), "headers": headers, "body": encoded(answer.body)}


def without_parser_words(result: Any) -> Any:
    """Return a result whose messages lack what the parser of JSON or msgpack says."""
    return json.loads(PARSER.sub(r"\1 (): send", json.dumps(result, ensure_ascii=False)))


Codec = Callable[[list[Request]], list[Any]]


@pytest.fixture(scope="module")
def codec() -> Codec:
    """Return a function that gives requests to the Rust codecs."""
    program = rust_target("codec")

    def run(requests: list[Request]) -> list[Any]:
        lines = [
            json.dumps(
                {
                    **sent,
                    "body": encoded(sent["body"]),
                    "headers": [
                        [name, encoded(value.encode("latin-1").strip(b" \t"))]
                        for name, value in sent["headers"]
                    ],
                }
            )
            for sent in requests
        ]
        done = subprocess.run([program], input="\n".join(lines), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def check_same(requests: list[Request], codec: Codec) -> list[Any]:
    """Fail unless both sides make the same of each request; return what they make."""
    wanted = [without_parser_words(expected(sent)) for sent in requests]
    results = [without_parser_words(result) for result in codec(requests)]
    for sent, one, other in zip(requests, wanted, results, strict=True):
        assert other == one, sent
    return wanted


def test_every_kind_of_request_is_read_and_answered_alike(codec: Codec) -> None:
    requests = [
        {**sent, "softmax": softmax, "version": version}
        for sent in SEEDS
        for softmax, version in ((False, None), (True, "1"))
    ]
    assert sum("items" in result for result in check_same(requests, codec)) > len(SEEDS)


def test_requests_that_are_broken_at_random_are_read_or_refused_alike(codec: Codec) -> None:
    rng = random.Random(SEED)  # noqa: S311 - nothing secret is drawn
    results = check_same([mutated(rng) for _ in range(COUNT)], codec)
    messages = {result["message"] for result in results if "message" in result}
    assert len(messages) > 60
    assert sum("items" in result for result in results) > COUNT / 8


MIB = 1024 * 1024


def grown() -> list[Request]:
    """Return bodies that would grow far beyond their size, and large honest ones."""
    units = (b"[],", b"{},", b'{"a":[]},', b'"ab",', rb'"\"\\",', b"1,", b'"[[[{{{,,,",')
    texts = [b'{"inputs":[' + unit * (MIB // len(unit)) + b"1]}" for unit in units]
    texts += [b'{"image": ' + quotes + b"a" * MIB for quotes in (b'"', rb'"\"', b'"" "')]
    texts += [json.dumps({"images": [encoded(bytes(MIB // 2))] * 3}, indent=8).encode()]
    inner = b"\xdc\x00\xc8" + b"\xa2xy" * 200
    lists = [struct.pack(">BI", 0xDD, MIB // len(unit)) + unit * (MIB // len(unit)) for unit in MANY]
    lists += [b"\x92" + (b"\xdc\x00\xc8" + inner * 200) * 2 + b"\xc0", b"\xdd\x00\x0f\x42\x40" * 200_000]
    lists += [b"\x91" * depth + end for depth in (1023, 1024, 1025) for end in (b"\xc0", b"\x90", b"")]
    packed = [*lists, *(b"\x81\xa5image" + part for part in lists)]
    packed += [b"\xdf\x00\x03\x0d\x40" + b"\xc4\x01a\xc0" * 200_000, b"\x81\x01\xdc\x02\x00" + b"\xc0" * 512]
    return [
        *(request(text, JSON) for text in texts),
        *(infer(text) for text in texts),
        *(infer(text, b"binary") for text in texts),
        *(request(part, MSGPACK) for part in packed),
    ]


MANY = (b"\x90", b"\x80", b"\xd4\x01x", b"\xd6\xff\x00\x00\x00\x01", b"\xa2xy", b"\x9f" + b"\xa2xy" * 15)


def test_bodies_that_would_grow_are_refused_alike(codec: Codec) -> None:
    check_same([{**sent, "softmax": False, "version": None} for sent in grown()], codec)
