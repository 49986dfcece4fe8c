"""Models for the tests of the Open Inference Protocol: an image classifier, and one of every datatype."""

import struct
from typing import Any

import numpy as np
import orjson

from serving_core.calls import Answer, Call, Headers, Item, Outputs, Signature
from serving_core.codecs.oip import HEADER, choose
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

MAX_ITEMS = 8


def _signature(
    inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], version: str | None = None
) -> Signature:
    return Signature("weather", version, "torch", inputs, outputs, lambda outputs, _: outputs, MAX_ITEMS)


IMAGE = _signature(
    (TensorSpec("image", BYTES),),
    (
        TensorSpec("logits", "FP32", (3,)),
        TensorSpec("probabilities", "FP32", (3,)),
        TensorSpec("label", BYTES, text=True),
    ),
)
PAIR = _signature(
    (TensorSpec("pixels", "FP32", (2, 3)), TensorSpec("caption", BYTES, text=True)),
    (TensorSpec("thumbnail", BYTES), TensorSpec("score", "FP64")),
    version="7",
)


def echo(spec: TensorSpec) -> Signature:
    """Return a model that gives what it takes, as "y" for "x"."""
    return _signature((spec,), (TensorSpec("y", spec.datatype, spec.shape, spec.text),))


def numeric(datatype: str, shape: tuple[int, ...] = ()) -> Signature:
    """Return a model that echoes numbers."""
    return echo(TensorSpec("x", datatype, shape))


def scores(label: str = "rime", *values: float) -> Outputs:
    """Return one image's outputs; the probabilities are float64, as the classifier gives them."""
    logits = np.array(values or (1.5, -2.0, 0.1), np.float32)
    return {"logits": logits, "probabilities": np.array([0.7, 0.2, 0.1]), "label": label}


def json_body(inputs: Any, **fields: Any) -> bytes:
    """Return a request's JSON; `inputs` is one input or a list of them."""
    listed = [inputs] if isinstance(inputs, dict) else inputs
    return orjson.dumps({"inputs": listed, **fields}, option=orjson.OPT_SERIALIZE_NUMPY)


def tensor(name: str, datatype: str, shape: list[int], data: Any = None, **parameters: Any) -> dict[str, Any]:
    """Return an input's JSON; without `data` and `parameters` it has no such fields."""
    made: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    if data is not None:
        made["data"] = data
    if parameters:
        made["parameters"] = parameters
    return made


def lengthened(*elements: bytes) -> bytes:
    """Return BYTES elements as the binary extension sends them."""
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def read(signature: Signature, body: bytes, header_bytes: int | None = None) -> Call:
    """Take a request apart as the service does."""
    headers: Headers = {} if header_bytes is None else {HEADER: b"%d" % header_bytes}
    return choose(headers, signature)(body)


def read_binary(signature: Signature, text: bytes, data: bytes) -> Call:
    """Take apart a request of JSON and binary data."""
    return read(signature, text + data, len(text))


def items(call: Call) -> list[Item]:
    """Return a call's items, none of which is an error."""
    return [item for item in call.items if not isinstance(item, RequestError)]


def header_length(answer: Answer) -> int | None:
    """Return the length of an answer's JSON where it says so."""
    return int(dict(answer.headers)[HEADER]) if answer.headers else None


def parsed(answer: Answer) -> dict[str, Any]:
    """Return an answer's JSON."""
    fields: dict[str, Any] = orjson.loads(answer.body[: header_length(answer)])
    return fields


DATATYPES = [*NUMERIC]
