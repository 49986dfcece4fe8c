"""The Open Inference Protocol v2 over HTTP: parsing and checking of its requests, and its metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import orjson

from serving_core.calls import JSON_TYPE, Call, Headers, Parse, Signature
from serving_core.codecs import oip_tensors
from serving_core.codecs.answers import WantedOutput, write_inference
from serving_core.codecs.size_limits import check_json
from serving_core.errors import RequestError
from serving_core.numbers import whole_number
from serving_core.tensors import BYTES, TensorSpec

OCTETS = "application/octet-stream"
HEADER = b"inference-header-content-length"


def choose(headers: Headers, signature: Signature) -> Parse:
    """Return the function that parses the body; raises RequestError 400 or 415."""
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in {b"identity", b""}:
        raise RequestError(415, "compressed bodies are not served: send no Content-Encoding")
    sent = headers.get(b"content-type", b"").decode("latin-1")
    kind = sent.partition(";")[0].strip().lower()
    length = headers.get(HEADER)
    if length is None:
        if kind == OCTETS:
            raise RequestError(
                400,
                "the header Inference-Header-Content-Length is missing: send the length of the JSON "
                "in bytes, or 0 if the body is the input itself",
            )
        _check_type(kind, JSON_TYPE)
        return partial(parse, signature, None)
    header_bytes = whole_number(length)
    if header_bytes is None:
        raise RequestError(
            400, "Inference-Header-Content-Length is wrong: send the length of the JSON in bytes, or 0"
        )
    if header_bytes:
        _check_type(kind, OCTETS, JSON_TYPE)
        return partial(parse, signature, header_bytes)
    _check_type(kind, OCTETS)
    _check_raw(signature.inputs)
    return partial(parse_raw, signature)


def _check_type(kind: str, *served: str) -> None:
    if kind and kind not in served:
        raise RequestError(415, f"content type {kind[:80]!r} is not served here: send {' or '.join(served)}")


def _check_raw(inputs: Sequence[TensorSpec]) -> None:
    """Raise RequestError 400 unless a body's size alone tells the input's shape."""
    if len(inputs) != 1:
        wrong = f"this model has {len(inputs)} inputs"
    elif inputs[0].shape.count(-1) > 1:
        wrong = f"input {inputs[0].name!r} has more than one size that varies"
    else:
        return
    raise RequestError(400, f"{wrong}, which a raw binary request cannot tell apart: send a JSON header")


def server_metadata(name: str, version: str) -> dict[str, Any]:
    """Return the answer to GET /v2."""
    return {"name": name, "version": version, "extensions": ["binary_tensor_data"]}


def model_metadata(signature: Signature) -> dict[str, Any]:
    """Return the answer to GET /v2/models/{model}: shapes are [-1, ...], the batch's dimension in front."""
    return {
        "name": signature.name,
        "versions": [] if signature.version is None else [signature.version],
        "platform": signature.platform,
        "inputs": [_tensor(spec) for spec in signature.inputs],
        "outputs": [_tensor(spec) for spec in signature.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": [-1, *spec.shape]}


LONGEST_NAME = 80
# More elements than any body holds. NumPy refuses a shape beyond its own limits, even if it is empty.
LARGEST_COUNT = 2**40


@dataclass(frozen=True, slots=True)
class _Input:
    """One input's checked JSON; `size_bytes` is the size of its binary data, None if its data are in JSON."""

    spec: TensorSpec
    shape: Sequence[int]
    data: Any
    content_type: str | None
    size_bytes: int | None

    def untyped(self) -> bool:
        """Tell whether this input was read as text only because no content type says that it is base64."""
        spec = self.spec
        in_json = self.size_bytes is None and self.content_type is None
        return in_json and spec.datatype == BYTES and not spec.text


def parse(signature: Signature, header_bytes: int | None, body: bytes) -> Call:
    """Parse a body whose first `header_bytes` bytes are JSON, all bytes if None; raises RequestError."""
    if header_bytes is not None and header_bytes > len(body):
        raise RequestError(
            400,
            f"Inference-Header-Content-Length is {header_bytes} and the body has {len(body)} bytes: "
            "send the length of the JSON in bytes",
        )
    check_json(signature, body, len(body) if header_bytes is None else header_bytes)
    request = _load(body if header_bytes is None else memoryview(body)[:header_bytes])
    parameters = _parameters("the request", request)
    inputs = _inputs(signature, request, parameters)
    count = inputs[0].shape[0]
    if any(tensor.shape[0] != count for tensor in inputs):
        raise RequestError(400, "the inputs differ in their first dimension: send as many items of each")
    values = _values(inputs, body, header_bytes)
    items = [{name: column[index] for name, column in values.items()} for index in range(count)]
    texts = tuple(tensor.spec.name for tensor in inputs if tensor.untyped())
    wanted = _outputs(signature, request, parameters)
    return Call(items, partial(write_inference, signature, _id(request), wanted, texts))


def parse_raw(signature: Signature, body: bytes) -> Call:
    """Parse a body that is nothing but the only input of one item; raises RequestError 400."""
    (spec,) = signature.inputs
    value: Any = body
    if spec.datatype != BYTES:
        shape = oip_tensors.raw_shape(spec, len(body))
        (value,) = oip_tensors.read_binary(spec, shape, body, 0, len(body))
    elif not body:
        raise RequestError(400, f"the body is empty: send the bytes of {spec.name!r}")
    wanted = tuple(WantedOutput(output, binary=True) for output in signature.outputs)
    return Call([{spec.name: value}], partial(write_inference, signature, None, wanted, ()))


def _load(text: bytes | memoryview) -> Mapping[str, Any]:
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"this is not JSON ({error}): send an inference request") from None
    if not isinstance(request, dict):
        raise RequestError(400, 'the JSON is not an object: send {"inputs": [...]}')
    return request


def _id(request: Mapping[str, Any]) -> str | None:
    identifier = request.get("id")
    if identifier is None or isinstance(identifier, str):
        return identifier
    raise RequestError(400, "id is not a string: send it in quotes, or leave it out")


def _parameters(whose: str, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of the request, of an input or of an output; {} if it has none."""
    parameters = sent.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestError(
            400, f"the parameters of {whose} are not an object: send names and values, or none"
        )
    for name in parameters:
        if name.startswith("shared_memory_"):
            raise RequestError(400, f"{whose} asks for shared memory, which is not served: send the data")
    return parameters


def _named(kind: str, sent: Any, specs: Sequence[TensorSpec]) -> dict[str, tuple[TensorSpec, dict[str, Any]]]:
    """Return each tensor in the request's list, with its spec, in the order of the request."""
    if not isinstance(sent, list) or not all(isinstance(tensor, dict) for tensor in sent):
        raise RequestError(400, f"{kind}s is not a list of objects: send one for each tensor")
    known = {spec.name: spec for spec in specs}
    tensors: dict[str, tuple[TensorSpec, dict[str, Any]]] = {}
    for tensor in sent:
        name = tensor.get("name")
        if not isinstance(name, str):
            raise RequestError(400, f"an {kind} has no name: give it one of {[*known]}")
        if name not in known:
            raise RequestError(400, f"there is no {kind} {name[:LONGEST_NAME]!r}: name one of {[*known]}")
        if name in tensors:
            raise RequestError(400, f"{kind} {name!r} is there twice: send it once")
        tensors[name] = known[name], tensor
    return tensors


def _inputs(
    signature: Signature, request: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Sequence[_Input]:
    named = _named("input", request.get("inputs"), signature.inputs)
    missing = [spec.name for spec in signature.inputs if spec.name not in named]
    if missing:
        raise RequestError(400, f"input {missing[0]!r} is missing: send it under inputs")
    return [_input(spec, tensor, parameters, signature.max_items) for spec, tensor in named.values()]


def _input(
    spec: TensorSpec, tensor: Mapping[str, Any], of_request: Mapping[str, Any], max_items: int
) -> _Input:
    if tensor.get("datatype") != spec.datatype:
        raise RequestError(400, f"input {spec.name!r} has the wrong datatype: send {spec.datatype}")
    parameters = _parameters(f"input {spec.name!r}", tensor)
    content_type = parameters.get("content_type")
    if content_type is None:
        content_type = of_request.get("content_type")
    if content_type is not None and not isinstance(content_type, str):
        raise RequestError(
            400, f"the content_type of input {spec.name!r} is not a string: send text, or none"
        )
    size_bytes = parameters.get("binary_data_size")
    if size_bytes is not None:
        if type(size_bytes) is not int or size_bytes < 0:
            raise RequestError(400, f"the binary_data_size of input {spec.name!r} is wrong: send its bytes")
        if tensor.get("data") is not None:
            raise RequestError(400, f"input {spec.name!r} has data and binary_data_size: send one of them")
    shape = _shape(spec, tensor.get("shape"), max_items)
    return _Input(spec, shape, tensor.get("data"), content_type, size_bytes)


def _shape(spec: TensorSpec, sent: Any, max_items: int) -> Sequence[int]:
    dimensions = ["n", *("any" if size == -1 else str(size) for size in spec.shape)]
    if not isinstance(sent, list) or not all(type(size) is int and size >= 0 for size in sent):
        wrong = "no list of whole numbers"
    elif len(sent) != len(dimensions) and (spec.shape or sent[1:] != [1]):
        wrong = f"of {len(sent)} dimensions"
    elif spec.datatype != BYTES and not all(map(_fits, spec.shape, sent[1:])):
        wrong = "not the model's"
    elif prod(max(size, 1) for size in sent[1:]) > LARGEST_COUNT:
        wrong = "too large"
    elif not 1 <= sent[0] <= max_items:
        raise RequestError(400, f"input {spec.name!r} has {sent[0]} items: send 1 to {max_items}")
    else:
        return sent
    raise RequestError(
        400, f"the shape of input {spec.name!r} is {wrong}: send [{', '.join(dimensions)}] for n items"
    )


def _fits(known: int, sent: int) -> bool:
    return known in {-1, sent}


def _values(inputs: Sequence[_Input], body: bytes, header_bytes: int | None) -> Mapping[str, Sequence[Any]]:
    """Return each input's values, one for each item; binary data follow the JSON in the inputs' order."""
    values: dict[str, Sequence[Any]] = {}
    start = len(body) if header_bytes is None else header_bytes
    for tensor in inputs:
        spec, shape = tensor.spec, tensor.shape
        if tensor.size_bytes is None:
            values[spec.name] = oip_tensors.read_json(spec, shape, tensor.data, tensor.content_type)
            continue
        if header_bytes is None:
            raise RequestError(
                400,
                f"input {spec.name!r} is binary and the header Inference-Header-Content-Length is missing: "
                "send it with the length of the JSON in bytes",
            )
        end = start + tensor.size_bytes
        if end > len(body):
            raise RequestError(
                400,
                f"the body ends {end - len(body)} bytes too early for input {spec.name!r}: "
                "send as many as its binary_data_size says",
            )
        values[spec.name] = oip_tensors.read_binary(spec, shape, body, start, end)
        start = end
    if start != len(body):
        raise RequestError(
            400,
            f"the body has {len(body) - start} bytes after the last input: "
            "send as many as the binary_data_size of each says",
        )
    return values


def _outputs(
    signature: Signature, request: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Sequence[WantedOutput]:
    default = _flag("the request", parameters, "binary_data_output", default=False)
    sent = request.get("outputs")
    if sent is None or sent == []:
        return tuple(WantedOutput(spec, default) for spec in signature.outputs)
    wanted = []
    for spec, tensor in _named("output", sent, signature.outputs).values():
        whose = f"output {spec.name!r}"
        own = _parameters(whose, tensor)
        if own.get("classification") not in (None, 0):
            raise RequestError(
                400, f"{whose} asks for classification, which is not served: send no such parameter"
            )
        wanted.append(WantedOutput(spec, _flag(whose, own, "binary_data", default=default)))
    return tuple(wanted)


def _flag(whose: str, parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise RequestError(400, f"{name} of {whose} is neither true nor false: send one of them")
    return value
