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
from serving_core.codecs.growth import Limits, check_json, limits_of
from serving_core.errors import RequestError

# Writes outcomes, as a list where its first argument says that the request has several items.
Write = Callable[[bool, Sequence[Outcome]], Answer]


def parse_json(signature: Signature, write: Write, body: bytes) -> Call:
    """Take apart one item, or a list of items; raises RequestError 400."""
    _check_not_empty(signature, body)
    check_json(signature, body, len(body))
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"the body is not JSON ({error}): send {hint(signature)}") from None
    return _call(signature, write, from_json, sent)


def parse_msgpack(signature: Signature, write: Write, body: bytes) -> Call:
    """Take apart one item, or a list of items; raises RequestError 400."""
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


def _unpack(body: bytes, limits: Limits) -> Any:
    """Return what the body holds; raises ValueError or msgpack.UnpackException."""
    # Room is made for as many elements as a list declares: first see that they are there.
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
        # a list is counted when it is whole: these hold for those that never are
        max_array_len=-1 if limits.longest_list is None else limits.longest_list,
        max_map_len=limits.longest_map,
        max_ext_len=0,  # a timestamp never reaches the hook
    )


def _no_extension(_code: int, _data: bytes) -> Any:
    raise ValueError("it has an extension type")
