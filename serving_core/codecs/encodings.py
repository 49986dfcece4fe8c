"""The encodings of /predict/ and /{model}/predict: the choice by a request's headers, and the parsers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import msgpack
import orjson
import pybase64

from serving_core.calls import JSON_TYPE, Answer, Call, Headers, Item, Outcome, Parse, Signature
from serving_core.codecs import oip_tensors
from serving_core.codecs.answers import write_json, write_msgpack
from serving_core.codecs.forms import boundary_of, files_of
from serving_core.codecs.size_limits import SizeLimits, check_json, limits_of
from serving_core.errors import RequestError
from serving_core.numbers import whole_number
from serving_core.tensors import BYTES, TensorSpec

MSGPACK_TYPE = "application/msgpack"
FORM_TYPE = "multipart/form-data"
TEXT_TYPE = "text/plain"
RAW_TYPES = ("application/octet-stream", "image/jpeg", "image/png", "image/webp")
MOST_CLASSES = 10**9


def served_types(signature: Signature) -> tuple[str, ...]:
    """Return the content types in which a model takes its inputs."""
    return (JSON_TYPE, MSGPACK_TYPE, *_only_input_types(signature))


def raw_types(signature: Signature) -> tuple[str, ...]:
    """Return the content types of bodies that are the model's only input; () if that is not BYTES."""
    if len(signature.inputs) != 1 or signature.inputs[0].datatype != BYTES:
        return ()
    return (TEXT_TYPE,) if signature.inputs[0].text else RAW_TYPES


def _only_input_types(signature: Signature) -> tuple[str, ...]:
    raw = raw_types(signature)
    return (*raw, FORM_TYPE) if raw else ()


def choose(headers: Headers, query: bytes, signature: Signature) -> Parse:
    """Return the function that parses the body; raises RequestError 400 or 415."""
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in {b"identity", b""}:
        raise RequestError(415, "compressed bodies are not served: send no Content-Encoding")
    top_k = _top_k(query) if query else None
    sent = headers.get(b"content-type", b"")
    kind = sent.decode("latin-1").partition(";")[0].strip().lower()
    if kind == JSON_TYPE:
        return partial(parse_json, signature, partial(write_json, signature, top_k))
    if kind == MSGPACK_TYPE:
        return partial(parse_msgpack, signature, partial(write_msgpack, signature, top_k))
    if kind not in _only_input_types(signature):
        named = f"content type {kind[:80]!r} is not served" if kind else "the content type is missing"
        raise RequestError(415, f"{named}: send one of {', '.join(served_types(signature))}")
    if kind == FORM_TYPE:
        boundary = boundary_of(sent)
        return partial(parse_form, signature, boundary, partial(write_json, signature, top_k))
    return partial(parse_raw, signature, partial(write_json, signature, top_k))


def _top_k(query: bytes) -> int | None:
    """Return the query's `top_k`, None if the query does not set it; raises RequestError 400."""
    try:
        # a client that joins its fields with an empty list of fields leaves these
        fields = query.strip(b"&").decode("latin-1")
        sent = parse_qsl(fields, keep_blank_values=True, max_num_fields=1)
    except ValueError:
        raise RequestError(400, "the query has more than one parameter: send top_k once, or none") from None
    if not sent:
        return None
    ((name, value),) = sent
    if name != "top_k":
        raise RequestError(400, f"there is no query parameter {name[:80]!r}: send top_k, or none")
    top_k = None if value.startswith("0") else whole_number(value, beyond=MOST_CLASSES)
    if top_k is None:
        raise RequestError(400, "top_k is wrong: send a whole number from 1")
    return top_k


# Writes outcomes; writes a list if its first argument, whether the request has several items, is true.
Write = Callable[[bool, Sequence[Outcome]], Answer]
# Converts a value that was sent to the value in an item; raises RequestError 400.
Read = Callable[[TensorSpec, Any], Any]


def parse_json(signature: Signature, write: Write, body: bytes) -> Call:
    """Parse one item, or a list of items; raises RequestError 400."""
    _check_not_empty(signature, body)
    check_json(signature, body, len(body))
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"the body is not JSON ({error}): send {hint(signature)}") from None
    return _call(signature, write, from_json, sent)


def parse_msgpack(signature: Signature, write: Write, body: bytes) -> Call:
    """Parse one item, or a list of items; raises RequestError 400."""
    _check_not_empty(signature, body)
    try:
        sent = _unpack(body, limits_of(signature))
    except (ValueError, msgpack.UnpackException) as error:
        wrong = (
            "it ends too early"
            if isinstance(error, msgpack.OutOfData)
            else str(error) or "no such type, or nested too deep"
        )
        if "max_array_len" in wrong:
            count = wrong.partition(" ")[0]
            raise RequestError(
                400, f"the msgpack has a list of {count} items: send 1 to {signature.max_items}"
            ) from None
        raise RequestError(
            400, f"the body is not msgpack ({wrong}): send {hint(signature, packed=True)}"
        ) from None
    return _call(signature, write, from_msgpack, sent)


def parse_raw(signature: Signature, write: Write, body: bytes) -> Call:
    """Take the body as the only input of one item; raises RequestError 400."""
    _check_not_empty(signature, body)
    return Call([_only(signature, body)], partial(write, False))


def parse_form(signature: Signature, boundary: bytes, write: Write, body: bytes) -> Call:
    """Take each file of a form as the only input of an item; raises RequestError 400."""
    _check_not_empty(signature, body)
    files = files_of(boundary, body, signature.max_items, raw_types(signature))
    if len(files) == 1:
        return Call([_only(signature, files[0])], partial(write, False))
    return Call([placed(partial(_only, signature), content) for content in files], partial(write, True))


def plural_of(signature: Signature) -> str:
    """Return the field that holds several items: the only input's name with an s, or else `items`."""
    return f"{signature.inputs[0].name}s" if len(signature.inputs) == 1 else "items"


def _check_not_empty(signature: Signature, body: bytes) -> None:
    if not body:
        raise RequestError(400, f"the body is empty: send {hint(signature)}")


def _only(signature: Signature, content: bytes) -> Item:
    (spec,) = signature.inputs
    return {spec.name: from_bytes(spec, content)}


def _call(signature: Signature, write: Write, read: Read, sent: Any) -> Call:
    """Return the call of a parsed JSON or msgpack body; raises RequestError 400."""
    plural = plural_of(signature)
    if type(sent) is not dict or sent.keys() != {plural}:
        return Call([read_item(signature, read, sent)], partial(write, False))
    several = sent[plural]
    if type(several) is not list:
        raise RequestError(400, f"{plural} is not a list: send 1 to {signature.max_items} in one")
    if not 1 <= len(several) <= signature.max_items:
        raise RequestError(400, f"{plural} has {len(several)} items: send 1 to {signature.max_items}")
    if len(signature.inputs) == 1:
        several = [{signature.inputs[0].name: value} for value in several]
    take = partial(read_item, signature, read)
    return Call([placed(take, one) for one in several], partial(write, True))


def _unpack(body: bytes, limits: SizeLimits) -> Any:
    """Return what the body holds; raises ValueError or msgpack.UnpackException."""
    # The unpacker reserves memory for the declared length of a list: first check that the elements exist.
    skipper = msgpack.Unpacker(max_buffer_size=len(body))
    skipper.feed(body)
    skipper.skip()
    if skipper.tell() != len(body):
        raise ValueError("something follows its end")
    containers = elements = 0

    def counted(container: Any) -> Any:
        nonlocal containers, elements
        containers += 1
        elements += len(container)
        if containers > limits.containers:
            raise ValueError(f"it has more than {limits.containers} lists and maps")
        if limits.elements is not None and elements > limits.elements:
            raise ValueError(f"it has more than {limits.elements} elements")
        return container

    return msgpack.unpackb(
        body,
        list_hook=counted,
        object_hook=counted,
        ext_hook=_no_extension,
        # a list is counted when it is complete: these limits hold for a list that never is
        max_array_len=-1 if limits.longest_list is None else limits.longest_list,
        max_map_len=limits.longest_map,
        max_ext_len=0,  # a timestamp never reaches the hook
    )


def _no_extension(_code: int, _data: bytes) -> Any:
    raise ValueError("it has an extension type")


def read_item(signature: Signature, read: Read, sent: Any) -> Item:
    """Return the item in the object `sent`, its values converted with `read`; raises RequestError 400."""
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
    """Return one item of several, or the error to put in its place."""
    try:
        return read(sent)
    except RequestError as error:
        return error


def from_json(spec: TensorSpec, sent: Any) -> Any:
    """Convert a value sent in JSON: numbers, text, or other bytes in base64; raises RequestError 400."""
    if spec.datatype != BYTES:
        return _numbers(spec, sent)
    if type(sent) is not str:
        form = "text" if spec.text else "base64"
        raise RequestError(400, f"the {spec.name} is not a string: send {form}")
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
    """Convert a value sent in msgpack: numbers, text as a string, or other bytes; raises RequestError 400."""
    if spec.datatype != BYTES:
        return _numbers(spec, sent)
    if spec.text:
        if type(sent) is not str:
            raise RequestError(400, f"the {spec.name} is not a string: send text")
        return sent.encode()
    if type(sent) is not bytes:
        raise RequestError(400, f"the {spec.name} is not binary: send its bytes as msgpack's bin")
    return from_bytes(spec, sent)


def from_bytes(spec: TensorSpec, content: bytes) -> bytes:
    """Return a BYTES value whose bytes were sent unencoded; raises RequestError 400."""
    if spec.text:
        try:
            content.decode()
        except UnicodeDecodeError as error:
            raise RequestError(400, f"the {spec.name} is not UTF-8 ({error.reason}): send text") from None
    elif not content:
        raise RequestError(400, f"the {spec.name} is empty: send its bytes")
    return content


def hint(signature: Signature, *, packed: bool = False) -> str:
    """Return, for a message, the form of an object with one item."""
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
    """Return nested lists of numbers as an array; raises RequestError 400."""
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
    (value,) = oip_tensors.read_json(spec, [1, *shape], [sent], None, or_binary=False)
    return value
