"""One item's values as /predict/ sends them, read and checked by the model's inputs."""

from collections.abc import Callable
from typing import Any

import pybase64

from serving_core.calls import Item, Signature
from serving_core.codecs import oip_json
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, TensorSpec

# Returns a value as an item holds it; raises RequestError 400.
Read = Callable[[TensorSpec, Any], Any]


def read_item(signature: Signature, read: Read, sent: Any) -> Item:
    """Return one item of the object that was sent, its values taken with `read`; raises RequestError 400."""
    specs = signature.inputs
    if type(sent) is not dict or sent.keys() != {spec.name for spec in specs}:
        packed = read is from_msgpack
        raise RequestError(
            400,
            f"the {'msgpack' if packed else 'JSON'} has the wrong fields: "
            f"send {hint(signature, packed=packed)} and nothing else",
        )
    return {spec.name: read(spec, sent[spec.name]) for spec in specs}


def placed(read: Callable[[Any], Item], sent: Any) -> Item | RequestError:
    """Return one item of several, or the error that stands in its place."""
    try:
        return read(sent)
    except RequestError as error:
        return error


def from_json(spec: TensorSpec, sent: Any) -> Any:
    """Return a value sent in JSON: numbers, text as it is, other bytes in base64; raises RequestError 400."""
    if spec.datatype != BYTES:
        return _numbers(spec, sent)
    if type(sent) is not str:
        form = "text" if spec.text else "base64"
        raise RequestError(400, f"the {spec.name} is no string: send {form}")
    if spec.text:
        return sent.encode()
    try:
        content = pybase64.b64decode(sent, validate=True)
    except ValueError as error:
        raise RequestError(
            400, f"the {spec.name} is not base64 ({error}): encode its bytes with padding"
        ) from None
    if not content:
        raise RequestError(400, f"the {spec.name} is empty: send the base64 of its bytes")
    return content


def from_msgpack(spec: TensorSpec, sent: Any) -> Any:
    """Return a value sent in msgpack: numbers, text as a string, other bytes; raises RequestError 400."""
    if spec.datatype != BYTES:
        return _numbers(spec, sent)
    if spec.text:
        if type(sent) is not str:
            raise RequestError(400, f"the {spec.name} is no string: send text")
        return sent.encode()
    if type(sent) is not bytes:
        raise RequestError(400, f"the {spec.name} is no binary: send its bytes as msgpack's bin")
    return from_bytes(spec, sent)


def from_bytes(spec: TensorSpec, content: bytes) -> bytes:
    """Return a value of BYTES sent as it is; raises RequestError 400."""
    if spec.text:
        try:
            content.decode()
        except UnicodeDecodeError as error:
            raise RequestError(400, f"the {spec.name} is not UTF-8 ({error.reason}): send text") from None
    elif not content:
        raise RequestError(400, f"the {spec.name} is empty: send its bytes")
    return content


def hint(signature: Signature, *, packed: bool = False) -> str:
    """Return what an object with one item looks like."""
    fields = [f'"{spec.name}": {_form(spec, packed)}' for spec in signature.inputs]
    return "{" + ", ".join(fields) + "}"


def _form(spec: TensorSpec, packed: bool) -> str:
    if spec.datatype == BYTES:
        if spec.text:
            return '"<text>"'
        return "<bytes>" if packed else '"<base64>"'
    sizes = ", ".join("any" if size == -1 else str(size) for size in spec.shape)
    return f"<{spec.datatype} [{sizes}]>" if spec.shape else f"<{spec.datatype}>"


def _numbers(spec: TensorSpec, sent: Any) -> Any:
    """Return the array that nested lists hold."""
    shape: list[int] = []
    inner = sent
    while type(inner) is list and len(shape) <= len(spec.shape):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    fits = len(shape) == len(spec.shape) and all(
        known in {-1, size} for known, size in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        raise RequestError(400, f"the {spec.name} has the wrong shape: send {_form(spec, packed=False)}")
    (value,) = oip_json.read(spec, [1, *shape], [sent], None, or_binary=False)
    return value
