"""Hypothesis strategies for bytes: real ones that were damaged, and requests that hold them."""

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack
import orjson
from hypothesis import strategies as st

from tests.contract.encodings import HEADER_LENGTH, INFER, JSON
from tests.fuzz.seeds import images, requests, tensor_request

Draw = st.DrawFn
MOST_DAMAGES = 4
BOUNDARY = b"between"
EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]
INTERESTING = st.sampled_from(
    [struct.pack(form, value & 0xFFFFFFFF) for value in EDGES for form in ("<I", ">I")]
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request to send; headers are written as they are."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


# by name: what Hypothesis writes of a strategy holds all that it samples from
WHOLE_IMAGE = st.sampled_from(sorted(images())).map(lambda name: images()[name])


@st.composite
def damaged(draw: Draw, whole: st.SearchStrategy[bytes]) -> bytes:
    """Bytes after a few bit flips, truncations, splices and overwritten numbers, most near the beginning."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, MOST_DAMAGES))):
        near = min(len(data), 64) if draw(st.booleans()) else len(data)
        at = draw(st.integers(0, near))
        match draw(st.sampled_from(["flip", "cut", "drop", "number", "insert", "splice", "repeat"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at:]
            case "drop":
                del data[at : at + draw(st.integers(1, 64))]
            case "number":
                number = draw(INTERESTING)
                data[at : at + len(number)] = number
            case "insert":
                data[at:at] = draw(st.binary(max_size=32))
            case "splice":
                other = draw(WHOLE_IMAGE)
                data[at:] = other[draw(st.integers(0, len(other))) :]
            case "repeat":
                data[at:at] = data[at : at + 256] * draw(st.integers(1, 8))
    return bytes(data)


IMAGE = damaged(WHOLE_IMAGE)
NUMBER = st.one_of(
    st.sampled_from([-1, 0, 1, 2, 64, 65, 2**31, 2**63, 2**64]), st.floats(), st.integers(-5, 5)
)
NAME = st.sampled_from(
    ["image", "images", "inputs", "name", "data", "shape", "datatype", "parameters", "id", "", "\x00", "ü"]
)
LEAF = st.one_of(st.none(), st.booleans(), NUMBER, st.text(max_size=12), NAME, IMAGE.map(lambda b: _text(b)))
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAME, inner, max_size=4), max_leaves=6
)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):  # a number or text that JSON has not
        return repr(value).encode("utf-8", "surrogatepass")


def _packed(value: Any) -> bytes:
    try:
        packed: bytes = msgpack.packb(value)
    except (OverflowError, ValueError, UnicodeEncodeError):
        return repr(value).encode("utf-8", "surrogatepass")
    return packed


def predict(content_type: str, body: st.SearchStrategy[bytes]) -> st.SearchStrategy[Hostile]:
    """POST a body to /predict/ or to the model's own route, with a query that may be wrong."""
    return st.builds(
        lambda target, query, sent: Hostile("POST", target + query, {"Content-Type": content_type}, sent),
        st.sampled_from(["/predict/", "/predict", "/weather/predict", "/nobody/predict", "//predict"]),
        QUERY,
        body,
    )


QUERY = st.sampled_from(
    ["", "", "", "?top_k=3", "?top_k=0", "?top_k=99999999999999999999", "?top_k=%ff", "?&;=", "?x=1"]
)
RAW = st.sampled_from(["image/jpeg", "image/png", "image/webp", "application/octet-stream"]).flatmap(
    lambda kind: predict(kind, IMAGE)
)
JSON_BODY = predict(
    "application/json",
    st.one_of(
        VALUE.map(_json),
        IMAGE.map(lambda data: _json({"image": _text(data)})),
        st.lists(IMAGE, max_size=3).map(lambda several: _json({"images": [*map(_text, several)]})),
        damaged(st.just(requests()["json"].body)),
    ),
)
PACKED_BODY = predict(
    "application/msgpack",
    st.one_of(
        VALUE.map(_packed),
        st.lists(IMAGE, max_size=3).map(lambda several: _packed({"images": several})),
        damaged(st.just(requests()["msgpack list"].body)),
    ),
)


PART_HEADS = [
    b'Content-Disposition: form-data; name="f"; filename="f"',
    b'Content-Disposition: form-data; name="meta"\r\nContent-Type: application/json',
    b'Content-Disposition: form-data; name="f"; filename="f"\r\nContent-Transfer-Encoding: base64',
]


@st.composite
def form(draw: Draw) -> bytes:
    """A form whose parts' headers and boundaries are more or less right."""
    body = b""
    for content in draw(st.lists(IMAGE, max_size=3)):
        head = draw(damaged(st.sampled_from(PART_HEADS)))
        body += b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n"
    return body + draw(st.sampled_from([b"--" + BOUNDARY + b"--\r\n", b"--" + BOUNDARY, b""]))


FORM_BODY = predict(f"multipart/form-data; boundary={BOUNDARY.decode()}", form())


@st.composite
def tensor(draw: Draw) -> dict[str, Any]:
    """An inference request's input, each of whose fields may be anything."""

    def field(right: Any) -> Any:
        return draw(VALUE) if draw(st.integers(0, 3)) == 0 else right

    parameters = field({"content_type": field("base64")})
    if draw(st.integers(0, 4)) == 0:
        parameters = {"binary_data_size": draw(NUMBER)}
    made = {"name": field("image"), "shape": field([1]), "datatype": field("BYTES"), "parameters": parameters}
    if draw(st.booleans()):
        made["data"] = field([_text(draw(IMAGE))])
    return made


@st.composite
def inference(draw: Draw) -> Hostile:
    """An inference request in JSON."""
    request: dict[str, Any] = {"inputs": draw(st.lists(tensor(), max_size=2))}
    for name in draw(st.sets(st.sampled_from(["id", "parameters", "outputs"]))):
        request[name] = draw(VALUE)
    if draw(st.integers(0, 4)) == 0:
        request["outputs"] = [
            {"name": draw(st.sampled_from(["label", "logits", "no"])), "parameters": draw(VALUE)}
        ]
    return Hostile("POST", draw(INFER_TARGET), JSON, _json(request))


INFER_TARGET = st.sampled_from(
    [INFER, INFER, "/v2/models/weather/versions/1/infer", "/v2/models/nobody/infer", "/v2/models/%00/infer"]
)


@st.composite
def binary_inference(draw: Draw) -> Hostile:
    """An inference request with binary data, or one that is nothing but data."""
    image = draw(IMAGE)
    data = draw(damaged(st.just(struct.pack("<I", len(image)) + image)))
    header = draw(damaged(st.just(tensor_request(data)))) if draw(st.booleans()) else tensor_request(data)
    length = draw(
        st.sampled_from([str(len(header)), "0", "-1", "1", "99999999", "1e3", "", str(len(header) + 1)])
    )
    headers = {HEADER_LENGTH: length, "Content-Type": draw(st.sampled_from(["application/octet-stream", ""]))}
    return Hostile("POST", draw(INFER_TARGET), headers, header + data)


# what is no prediction, or one by the wrong method
ELSEWHERE = st.builds(
    lambda method, path, query, body: Hostile(method, path + query, {}, body),
    st.sampled_from(["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "POST"]),
    st.sampled_from(
        [
            *("/", "/ping", "/metrics", "/api-description", "/v2", "/v2/", "/v2/health/ready", "/predict/"),
            *("/v2/models/weather", "/v2/models/weather/ready", "/v2/models/weather/versions/x/ready"),
            *("/v2/models/%2e%2e/infer", "/v2/models//infer", "/a/b/c/predict", "/%ff%fe", "/docs", "/ping/"),
        ]
    ),
    QUERY,
    st.binary(max_size=16),
)
EXTRA: dict[str, list[str]] = {
    "X-Request-Timeout-Ms": [
        "1",
        "0",
        "-1",
        "5",
        "1e9",
        "99999999999999999999",
        "\xb2",
        "",
        "60000",
        "9" * 5000,
    ],
    "X-Request-Id": ["a", "b" * 4000, '"\\', "\xff", "{}", ""],
    "Accept": ["text/html", "*/*;q=0", "application/msgpack", "\xff"],
    "Accept-Encoding": ["gzip", "br;q=1, *;q=0", ",,,;q", "identity;q=0"],
    "Content-Encoding": ["gzip", "identity", "", "deflate, gzip"],
    "Content-Type": [
        *("", ";", "text/html", "application/json;charset=utf-16", "multipart/form-data", "\xff/\xff"),
        *("multipart/form-data; boundary=" + "b" * 100, 'multipart/form-data; boundary="', "IMAGE/PNG"),
    ],
    "Inference-Header-Content-Length": ["0", "1", "-0", "\xb2", "9" * 5000, " 5"],
    "Connection": ["close", "keep-alive, close", "x"],
    "Expect": ["100-continue"],
    "Cookie": ["a=b;" * 500],
    "Forwarded": ['for="_gazonk"'],
}


@st.composite
def hostile(draw: Draw) -> Hostile:
    """Any well-formed request."""
    kinds = [RAW, JSON_BODY, PACKED_BODY, FORM_BODY, inference(), binary_inference(), ELSEWHERE]
    request = draw(st.one_of(kinds))
    names = draw(st.sets(st.sampled_from(sorted(EXTRA)), max_size=2)) if draw(st.booleans()) else ()
    extra = {name: draw(st.sampled_from(EXTRA[name])) for name in sorted(names)}
    return Hostile(request.method, request.target, {**request.headers, **extra}, request.body)
