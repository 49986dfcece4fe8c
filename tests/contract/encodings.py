"""Every way to send images and to read what comes back: one literal table, ENCODINGS."""

import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import orjson
import requests

MODEL = "weather"
INFER = f"/v2/models/{MODEL}/infer"
VERSION_INFER = f"/v2/models/{MODEL}/versions/1/infer"
JSON = {"Content-Type": "application/json"}
HEADER_LENGTH = "Inference-Header-Content-Length"
BOUNDARY = b"an-image-follows"
MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}


@dataclass(frozen=True, slots=True)
class Request:
    """What to POST."""

    path: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """One image's answer: probabilities in the order of the labels; logits where the encoding has them."""

    label: str
    probabilities: tuple[float, ...]
    logits: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Encoding:
    """`request` puts images into one request, only the first where it `takes_several` not.

    `readings` are those of an answer with status 200, one an image. `places` are the entries of an answer
    that has a bad item's error in its own place, None where one bad item refuses the whole request.
    """

    request: Callable[[Sequence[bytes]], Request]
    readings: Callable[[requests.Response], list[Reading]]
    takes_several: bool = False
    places: Callable[[requests.Response], list[dict[str, Any]]] | None = None


def _base64(images: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(image).decode() for image in images]


def _json(images: Sequence[bytes], path: str = "/predict/") -> Request:
    return Request(path, orjson.dumps({"image": _base64(images)[0]}), JSON)


def _json_list(images: Sequence[bytes]) -> Request:
    return Request("/predict/", orjson.dumps({"images": _base64(images)}), JSON)


def _raw(images: Sequence[bytes], path: str = "/predict/") -> Request:
    return Request(path, images[0], {"Content-Type": "application/octet-stream"})


def _raw_typed(images: Sequence[bytes]) -> Request:
    kinds = (kind for magic, kind in MAGIC.items() if images[0].startswith(magic))
    return Request("/predict/", images[0], {"Content-Type": next(kinds, "application/octet-stream")})


def _multipart(images: Sequence[bytes]) -> Request:
    head = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="%d"\r\n\r\n'
    parts = [head % (BOUNDARY, number) + image + b"\r\n" for number, image in enumerate(images)]
    kind = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    return Request("/predict/", b"".join(parts) + b"--%b--\r\n" % BOUNDARY, {"Content-Type": kind})


def _msgpack(images: Sequence[bytes]) -> Request:
    return Request("/predict/", msgpack.packb({"image": images[0]}), {"Content-Type": "application/msgpack"})


def _msgpack_list(images: Sequence[bytes]) -> Request:
    body: bytes = msgpack.packb({"images": list(images)})
    return Request("/predict/", body, {"Content-Type": "application/msgpack"})


def _oip_json(images: Sequence[bytes], nested: bool = False, path: str = INFER) -> Request:
    data: list[Any] = _base64(images)
    tensor = {
        "name": "image",
        "shape": [len(data), 1] if nested else [len(data)],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [[element] for element in data] if nested else data,
    }
    return Request(path, orjson.dumps({"id": "one", "inputs": [tensor]}), JSON)


def _oip_binary(images: Sequence[bytes], binary_output: bool = True) -> Request:
    data = b"".join(struct.pack("<I", len(image)) + image for image in images)
    tensor = {
        "name": "image",
        "shape": [len(images)],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(data)},
    }
    header = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": binary_output}})
    return Request(INFER, header + data, {HEADER_LENGTH: str(len(header))})


def _oip_raw(images: Sequence[bytes]) -> Request:
    return Request(INFER, images[0], {HEADER_LENGTH: "0", "Content-Type": "application/octet-stream"})


def _reading(entry: dict[str, Any]) -> Reading:
    return Reading(entry["prediction"], tuple(entry["probabilities"].values()))


def objects(answer: requests.Response) -> list[dict[str, Any]]:
    """Return the answer of /predict/ as a list of objects, one an image."""
    packed = answer.headers["content-type"] == "application/msgpack"
    found: Any = msgpack.unpackb(answer.content) if packed else orjson.loads(answer.content)
    return found if isinstance(found, list) else [found]


def _read_objects(answer: requests.Response) -> list[Reading]:
    return [_reading(entry) for entry in objects(answer)]


def tensors(answer: requests.Response) -> dict[str, Any]:
    """Return an answer's tensors by name, as arrays of their shape, sent in JSON or after it."""
    length = int(answer.headers.get(HEADER_LENGTH, len(answer.content)))
    header, rest = orjson.loads(answer.content[:length]), answer.content[length:]
    found: dict[str, Any] = {}
    for output in header["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            values = np.array(output["data"])
        elif output["datatype"] == "FP32":
            values, rest = np.frombuffer(rest[:size], "<f4"), rest[size:]
        else:
            values, rest = np.array(_elements(rest[:size])), rest[size:]
        found[output["name"]] = values.reshape(output["shape"])
    assert rest == b"", "bytes that no output declares"
    return found


def _elements(data: bytes) -> list[str]:
    found = []
    while data:
        length = struct.unpack("<I", data[:4])[0]
        found.append(data[4 : 4 + length].decode())
        data = data[4 + length :]
    return found


def _read_tensors(answer: requests.Response) -> list[Reading]:
    found = tensors(answer)
    rows = zip(
        found["label"].tolist(), found["probabilities"].tolist(), found["logits"].tolist(), strict=True
    )
    return [Reading(label, tuple(shares), tuple(logits)) for label, shares, logits in rows]


ENCODINGS: dict[str, Encoding] = {
    "json": Encoding(_json, _read_objects),
    "json list": Encoding(_json_list, _read_objects, True, objects),
    "raw": Encoding(_raw, _read_objects),
    "raw typed": Encoding(_raw_typed, _read_objects),
    "multipart": Encoding(lambda images: _multipart(images[:1]), _read_objects),
    "multipart several": Encoding(_multipart, _read_objects, True, objects),
    "msgpack": Encoding(_msgpack, _read_objects),
    "msgpack list": Encoding(_msgpack_list, _read_objects, True, objects),
    "by name json": Encoding(lambda images: _json(images, f"/{MODEL}/predict"), _read_objects),
    "by name raw": Encoding(lambda images: _raw(images, f"/{MODEL}/predict"), _read_objects),
    "oip json": Encoding(_oip_json, _read_tensors, True),
    "oip json nested": Encoding(lambda images: _oip_json(images, nested=True), _read_tensors, True),
    "oip binary": Encoding(_oip_binary, _read_tensors, True),
    "oip binary in": Encoding(lambda images: _oip_binary(images, binary_output=False), _read_tensors, True),
    "oip version": Encoding(lambda images: _oip_json(images, path=VERSION_INFER), _read_tensors, True),
    "oip raw": Encoding(_oip_raw, _read_tensors),
}
