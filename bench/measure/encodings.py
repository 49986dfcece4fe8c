"""The ways in which one image is sent: one literal table, ENCODINGS."""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgpack
import orjson

from bench.errors import UsageError

OCTETS = "application/octet-stream"
HEADER_LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/{model}/infer"
# what /predict/ answers too: a protocol's request is not to cost more because it asks for more
OUTPUTS = [{"name": "label"}, {"name": "probabilities"}]
# one for all images: a loop is told one content type for all bodies
BOUNDARY = "bench-6b1f0e52c4a94d7f8e3a"


@dataclass(frozen=True, slots=True)
class Request:
    """A request's body and what its headers say of it."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How an image becomes a request, where that goes, and in which form the answer comes back.

    `request` is given the image's bytes and its media type. `path` is None for the strategy's own, and may
    have a place for {model}; `reply` is one of bench.load.replies.READERS.
    """

    request: Callable[[bytes, str], Request]
    path: str | None = None
    reply: str = "json"

    @property
    def names_model(self) -> bool:
        """Whether the path has the model's name in it."""
        return self.path is not None and "{model}" in self.path


def _json(image: bytes, _media_type: str) -> Request:
    return Request(orjson.dumps({"image": _base64(image)}), "application/json")


def _raw(image: bytes, media_type: str) -> Request:
    return Request(image, media_type)


def _multipart(image: bytes, media_type: str) -> Request:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    body = head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()
    return Request(body, f"multipart/form-data; boundary={BOUNDARY}")


def _msgpack(image: bytes, _media_type: str) -> Request:
    return Request(msgpack.packb({"image": image}), "application/msgpack")


def _oip_json(image: bytes, _media_type: str) -> Request:
    tensor = {
        "name": "image",
        "shape": [1],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [_base64(image)],
    }
    return Request(orjson.dumps({"inputs": [tensor], "outputs": OUTPUTS}), "application/json")


def _oip_binary(image: bytes, _media_type: str) -> Request:
    data = len(image).to_bytes(4, "little") + image
    tensor = {
        "name": "image",
        "shape": [1],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(data)},
    }
    # asked for once, it holds for every output
    asked = {"inputs": [tensor], "outputs": OUTPUTS, "parameters": {"binary_data_output": True}}
    header = orjson.dumps(asked)
    return Request(header + data, OCTETS, {HEADER_LENGTH: str(len(header))})


def _oip_raw(image: bytes, _media_type: str) -> Request:
    return Request(image, OCTETS, {HEADER_LENGTH: "0"})


def _base64(image: bytes) -> str:
    return base64.b64encode(image).decode("ascii")


ENCODINGS: dict[str, Encoding] = {
    "json": Encoding(_json),
    "raw": Encoding(_raw),
    "multipart": Encoding(_multipart),
    "msgpack": Encoding(_msgpack, reply="msgpack"),
    "oip-json": Encoding(_oip_json, INFER, "oip-json"),
    "oip-binary": Encoding(_oip_binary, INFER, "oip-binary"),
    # a raw request has no place to choose outputs: all of them come back, in binary
    "oip-raw": Encoding(_oip_raw, INFER, "oip-binary"),
}


def known(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once; raises UsageError for one that is no encoding, and where there is none."""
    found = tuple(dict.fromkeys(names))
    strange = [name for name in found if name not in ENCODINGS]
    if strange or not found:
        wrong = f"unknown encoding {', '.join(name or 'without a name' for name in strange)}"
        raise UsageError(f"{wrong if strange else 'no encoding is named'}: there are {', '.join(ENCODINGS)}")
    return found


def split_names(text: str) -> tuple[str, ...]:
    """The encodings that a comma-separated text names, each once; raises UsageError as `known` does."""
    return known(name.strip() for name in text.split(","))
