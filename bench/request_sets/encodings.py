"""How the tensors of a request become its body: the encodings (one literal table, ENCODINGS)."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
import orjson

from bench.errors import UsageError
from bench.model.expectations import Expectation, LabelExpectation, TensorsExpectation
from bench.request_sets.request_set import AS_IS, BYTES, OCTETS, InputTensor, SetRequest, WholeBody

HEADER_LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/{model}/infer"
# the outputs of /predict/ too: a protocol's request must not cost more because it asks for more
LABEL_OUTPUTS = ("label", "probabilities")
# the same for all bodies: a loop gets one content type for all of them
BOUNDARY = "bench-6b1f0e52c4a94d7f8e3a"
LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class EncodedBody:
    """A request's body, its content type and its other headers."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


Inputs = tuple[InputTensor, ...]
Outputs = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How inputs become a request, to which path it goes, and in which form the answer comes back.

    `encode` is given the inputs and the outputs to ask for, none for all; it is None if bodies are sent as
    they are. `path` is None for the strategy's own, and may have a place for {model}; `reply` is a key of
    bench.request_sets.replies.FORMS. If `one_bytes`, it takes a single element of BYTES and nothing else; if
    `finite`, it has no place for NaN and infinities.
    """

    encode: Callable[[Inputs, Outputs], EncodedBody] | None
    path: str | None = None
    reply: str = "json"
    one_bytes: bool = False
    finite: bool = False

    @property
    def names_model(self) -> bool:
        """Whether the path has the model's name in it."""
        return self.path is not None and "{model}" in self.path


def _json(inputs: Inputs, _outputs: Outputs) -> EncodedBody:
    return EncodedBody(_dumps(_items(inputs, _json_bytes)), "application/json")


def _msgpack(inputs: Inputs, _outputs: Outputs) -> EncodedBody:
    packed: bytes = msgpack.packb(_items(inputs, _packed_bytes), default=lambda array: array.tolist())
    return EncodedBody(packed, "application/msgpack")


def _raw(inputs: Inputs, _outputs: Outputs) -> EncodedBody:
    (tensor,) = inputs
    return EncodedBody(bytes(tensor.data[0]), tensor.content_type)


def _multipart(inputs: Inputs, _outputs: Outputs) -> EncodedBody:
    (tensor,) = inputs
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{tensor.name}"; filename="{tensor.name}"\r\n'
        f"Content-Type: {tensor.content_type}\r\n\r\n"
    )
    body = head.encode() + bytes(tensor.data[0]) + f"\r\n--{BOUNDARY}--\r\n".encode()
    return EncodedBody(body, f"multipart/form-data; boundary={BOUNDARY}")


def _oip_json(inputs: Inputs, outputs: Outputs) -> EncodedBody:
    asked = {"inputs": [_oip_input(tensor) for tensor in inputs], **_asked(outputs)}
    return EncodedBody(_dumps(asked), "application/json")


def _oip_binary(inputs: Inputs, outputs: Outputs) -> EncodedBody:
    parts = [_binary(tensor) for tensor in inputs]
    tensors = [
        {
            "name": tensor.name,
            "shape": tensor.shape,
            "datatype": tensor.datatype,
            "parameters": {"binary_data_size": len(part)},
        }
        for tensor, part in zip(inputs, parts, strict=True)
    ]
    # asked for once, it holds for every output
    header = _dumps({"inputs": tensors, **_asked(outputs), "parameters": {"binary_data_output": True}})
    return EncodedBody(b"".join([header, *parts]), OCTETS, {HEADER_LENGTH: str(len(header))})


def _oip_raw(inputs: Inputs, _outputs: Outputs) -> EncodedBody:
    (tensor,) = inputs
    return EncodedBody(bytes(tensor.data[0]), OCTETS, {HEADER_LENGTH: "0"})


ENCODINGS: dict[str, Encoding] = {
    "json": Encoding(_json, finite=True),
    "raw": Encoding(_raw, one_bytes=True),
    "multipart": Encoding(_multipart, one_bytes=True),
    "msgpack": Encoding(_msgpack, reply="msgpack"),
    "oip-json": Encoding(_oip_json, INFER, "oip-json", finite=True),
    "oip-binary": Encoding(_oip_binary, INFER, "oip-binary"),
    # a raw request has no place to choose outputs: all of them come back, in binary
    "oip-raw": Encoding(_oip_raw, INFER, "oip-binary", one_bytes=True),
    AS_IS: Encoding(None, reply=AS_IS),
}
TENSOR_ENCODINGS = tuple(name for name in ENCODINGS if name != AS_IS)


def known(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once; raises UsageError for a name that is no encoding of tensors, or empty."""
    found = tuple(dict.fromkeys(names))
    strange = [name for name in found if name not in TENSOR_ENCODINGS]
    if strange or not found:
        wrong = f"unknown encoding {', '.join(name or 'without a name' for name in strange)}"
        there = ", ".join(TENSOR_ENCODINGS)
        raise UsageError(f"{wrong if strange else 'no encoding is named'}: there are {there}")
    return found


def split_names(text: str) -> tuple[str, ...]:
    """The encodings that a comma-separated text names, each once; raises UsageError as `known` does."""
    return known(name.strip() for name in text.split(","))


def encodings_for(request: SetRequest, encodings: Sequence[str]) -> tuple[str, ...]:
    """Those of the encodings that can carry the request; `as-is` alone if its body is sent as it is."""
    if isinstance(request.body, WholeBody):
        return (AS_IS,)
    able = [name for name in encodings if name != AS_IS]
    if request.only_bytes is None:
        able = [name for name in able if not ENCODINGS[name].one_bytes]
    if any(ENCODINGS[name].finite for name in able) and _not_finite(request.body):
        # JSON's writers put null there, which is another request
        able = [name for name in able if not ENCODINGS[name].finite]
    return tuple(able)


def encode(request: SetRequest, encoding: str) -> EncodedBody:
    """The request's body; raises UsageError if the encoding cannot carry it, or a number of it."""
    if encoding not in encodings_for(request, (encoding,)):
        able = encodings_for(request, TENSOR_ENCODINGS)
        where = _not_finite(request.body) if not isinstance(request.body, WholeBody) else ""
        if where and ENCODINGS[encoding].finite:
            raise UsageError(
                f"{request.name}: {where} is not a finite number, which JSON cannot carry: choose --encoding "
                f"{' or '.join(able)}"
            )
        raise UsageError(
            f"{encoding} cannot carry the request {request.name}: choose --encoding {', '.join(able)}"
        )
    if isinstance(request.body, WholeBody):
        return EncodedBody(request.body.content, request.body.content_type)
    chosen = ENCODINGS[encoding]
    if chosen.encode is None:
        raise UsageError(f"{encoding} carries no tensors: choose another --encoding")
    return chosen.encode(request.body, [{"name": name} for name in wanted_outputs(request.expect)])


def _not_finite(inputs: Inputs) -> str:
    """The first element that is NaN or infinite, such as `image[3]`; empty if there is none."""
    for tensor in inputs:
        if not isinstance(tensor.data, tuple) and tensor.data.dtype.kind == "f":
            wrong = np.flatnonzero(~np.isfinite(tensor.data))
            if len(wrong):
                return f"{tensor.name}[{wrong[0]}]"
    return ""


def wanted_outputs(expect: Expectation) -> tuple[str, ...]:
    """The outputs that a request asks for by name: those that are compared; () for all."""
    if isinstance(expect, LabelExpectation):
        return LABEL_OUTPUTS
    return tuple(one.name for one in expect.tensors) if isinstance(expect, TensorsExpectation) else ()


def _asked(outputs: Outputs) -> dict[str, Any]:
    return {"outputs": outputs} if outputs else {}


def _items(inputs: Inputs, of_bytes: Callable[[InputTensor, bytes], Any]) -> Any:
    """What /predict/ takes: an object for a single item, else all items under the plural of the only input.

    Several inputs have their items under `items`.
    """
    count = inputs[0].shape[0]
    items = [{tensor.name: _value(tensor, place, of_bytes) for tensor in inputs} for place in range(count)]
    if count == 1:
        return items[0]
    if len(inputs) > 1:
        return {"items": items}
    name = inputs[0].name
    return {f"{name}s": [item[name] for item in items]}


def _value(tensor: InputTensor, place: int, of_bytes: Callable[[InputTensor, bytes], Any]) -> Any:
    value = tensor.data[place]
    return of_bytes(tensor, value) if isinstance(value, bytes) else value


def _json_bytes(tensor: InputTensor, value: bytes) -> str:
    return value.decode() if tensor.text else base64.b64encode(value).decode("ascii")


def _packed_bytes(tensor: InputTensor, value: bytes) -> str | bytes:
    return value.decode() if tensor.text else value


def _oip_input(tensor: InputTensor) -> dict[str, Any]:
    head: dict[str, Any] = {"name": tensor.name, "shape": tensor.shape, "datatype": tensor.datatype}
    if tensor.datatype != BYTES:
        return {**head, "data": tensor.data.reshape(-1)}  # type: ignore[union-attr]  # numbers are an array
    if not tensor.text:
        head["parameters"] = {"content_type": "base64"}
    return {**head, "data": [_json_bytes(tensor, bytes(value)) for value in tensor.data]}


def _binary(tensor: InputTensor) -> bytes:
    if tensor.datatype != BYTES:
        return tensor.data.tobytes()  # type: ignore[union-attr]  # numbers are an array
    elements = map(bytes, tensor.data)
    return b"".join(len(value).to_bytes(LENGTH_BYTES, "little") + value for value in elements)


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
