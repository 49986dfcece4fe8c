"""The bodies of /predict/, taken apart: JSON and msgpack objects, one input itself, and forms of files."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgpack
import orjson

from serving_core.calls import Answer, Call, Item, Outcome, Signature
from serving_core.codecs.encodings_form import files_of
from serving_core.codecs.encodings_values import (
    Read,
    from_bytes,
    from_json,
    from_msgpack,
    hint,
    placed,
    read_item,
)
from serving_core.errors import RequestError
from serving_core.tensors import BYTES

# Writes outcomes, as a list where its first argument says that the request has several items.
Write = Callable[[bool, Sequence[Outcome]], Answer]

# An empty list is one byte in msgpack and 64 in memory: no honest request has as many lists and maps.
MOST_CONTAINERS = 65_536
# In JSON an empty list is three bytes: only a long body can grow into much.
LONG_BYTES = 2 * 1024 * 1024


def parse_json(signature: Signature, write: Write, body: bytes) -> Call:
    """Take apart one item, or a list of items; raises RequestError 400."""
    _check_not_empty(signature, body)
    if len(body) > LONG_BYTES:
        _check_elements(signature, body)
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"the body is not JSON ({error}): send {hint(signature)}") from None
    return _call(signature, write, from_json, sent)


def parse_msgpack(signature: Signature, write: Write, body: bytes) -> Call:
    """Take apart one item, or a list of items; raises RequestError 400."""
    _check_not_empty(signature, body)
    try:
        sent = _unpack(body)
    except (ValueError, msgpack.UnpackException) as error:
        wrong = (
            "it ends too early"
            if isinstance(error, msgpack.OutOfData)
            else str(error) or "no such type, or nested too deep"
        )
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
    files = files_of(boundary, body, signature.max_items)
    if len(files) == 1:
        return Call([_only(signature, files[0])], partial(write, False))
    return Call([placed(partial(_only, signature), content) for content in files], partial(write, True))


def plural_of(signature: Signature) -> str:
    """Return the name under which several items are sent: that of the only input with an s, else `items`."""
    return f"{signature.inputs[0].name}s" if len(signature.inputs) == 1 else "items"


def _check_not_empty(signature: Signature, body: bytes) -> None:
    if not body:
        raise RequestError(400, f"the body is empty: send {hint(signature)}")


def _check_elements(signature: Signature, body: bytes) -> None:
    """Raise RequestError 400 where there are more commas than base64, which has none, is set apart by."""
    encoded = all(spec.datatype == BYTES and not spec.text for spec in signature.inputs)
    if encoded and body.count(b",") > MOST_CONTAINERS:
        raise RequestError(
            400,
            f"the JSON has more than {MOST_CONTAINERS} elements: send at most {signature.max_items} items",
        )


def _only(signature: Signature, content: bytes) -> Item:
    (spec,) = signature.inputs
    return {spec.name: from_bytes(spec, content)}


def _call(signature: Signature, write: Write, read: Read, sent: Any) -> Call:
    """Take apart what JSON and msgpack have in common."""
    plural = plural_of(signature)
    if type(sent) is not dict or sent.keys() != {plural}:
        return Call([read_item(signature, read, sent)], partial(write, False))
    several = sent[plural]
    if type(several) is not list:
        raise RequestError(400, f"{plural} is no list: send 1 to {signature.max_items} in one")
    if not 1 <= len(several) <= signature.max_items:
        raise RequestError(400, f"{plural} has {len(several)} items: send 1 to {signature.max_items}")
    if len(signature.inputs) == 1:
        several = [{signature.inputs[0].name: value} for value in several]
    take = partial(read_item, signature, read)
    return Call([placed(take, one) for one in several], partial(write, True))


def _unpack(body: bytes) -> Any:
    """Return what the body holds; raises ValueError or msgpack.UnpackException."""
    # Room is made for as many elements as a list declares: first see that they are there.
    skipper = msgpack.Unpacker(max_buffer_size=len(body))
    skipper.feed(body)
    skipper.skip()
    if skipper.tell() != len(body):
        raise ValueError("something follows its end")
    count = 0

    def counted(container: Any) -> Any:
        nonlocal count
        count += 1
        if count > MOST_CONTAINERS:
            raise ValueError(f"it has more than {MOST_CONTAINERS} lists and maps")
        return container

    return msgpack.unpackb(body, list_hook=counted, object_hook=counted)
