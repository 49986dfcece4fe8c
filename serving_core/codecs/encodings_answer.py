"""The answer of /predict/: an item's object, or a list with an object or an error for each item."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgpack
import numpy as np
import orjson
import pybase64

from serving_core.calls import Answer, Outcome, Signature
from serving_core.errors import RequestError, fault

MSGPACK = b"application/msgpack"

Written = Mapping[str, Any]

# the error of one item of several
UNWRITTEN = "an item's answer could not be written"

log = logging.getLogger("serving_core.codecs.encodings_answer")


def write_json(signature: Signature, top_k: int | None, several: bool, outcomes: Sequence[Outcome]) -> Answer:
    """Return the answer in JSON, a list if `several`; raises the outcome of an only item if it is an error.

    Bytes are written in base64, NaN and infinity as null.
    """
    if not several:
        return Answer(_json(_only(signature, top_k, outcomes)))
    content = _places(signature, top_k, outcomes)
    try:
        return Answer(_json(content))
    except TypeError:
        parts = _one_by_one(_json, content)
        return Answer(b"[" + b",".join(parts) + b"]")


def write_msgpack(
    signature: Signature, top_k: int | None, several: bool, outcomes: Sequence[Outcome]
) -> Answer:
    """Return the answer in msgpack, a list if `several`; raises as `write_json` does."""
    if not several:
        return Answer(_packed(_only(signature, top_k, outcomes)), MSGPACK)
    content = _places(signature, top_k, outcomes)
    try:
        return Answer(_packed(content), MSGPACK)
    except (TypeError, ValueError, OverflowError):
        parts = _one_by_one(_packed, content)
        return Answer(msgpack.Packer().pack_array_header(len(parts)) + b"".join(parts), MSGPACK)


def _json(content: Any) -> bytes:
    return orjson.dumps(content, _json_value, orjson.OPT_SERIALIZE_NUMPY)


def _packed(content: Any) -> bytes:
    packed: bytes = msgpack.packb(content, default=_plain)
    return packed


def _only(signature: Signature, top_k: int | None, outcomes: Sequence[Outcome]) -> Written:
    (outcome,) = outcomes
    if isinstance(outcome, RequestError):
        raise outcome
    return _object(signature, top_k, outcome)


def _places(signature: Signature, top_k: int | None, outcomes: Sequence[Outcome]) -> list[Written]:
    return [_place(signature, top_k, outcome) for outcome in outcomes]


def _place(signature: Signature, top_k: int | None, outcome: Outcome) -> Written:
    """Return the answer to one item of several; raises RequestError 400 if `top_k` has no meaning."""
    if isinstance(outcome, RequestError):
        return {"error": outcome.message}
    try:
        return _object(signature, top_k, outcome)
    except RequestError as refusal:
        if refusal.status == 400 and top_k is not None:
            raise  # the query's fault, not the item's
        return {"error": refusal.message}
    except Exception:
        log.exception(UNWRITTEN)
        return {"error": fault().message}


def _one_by_one(write: Callable[[Any], bytes], content: Sequence[Written]) -> list[bytes]:
    """Return the bytes of each item's answer; an answer that cannot be written becomes an error of ours."""

    def written(place: Written) -> bytes:
        try:
            return write(place)
        except Exception:
            log.exception(UNWRITTEN)
            return write({"error": fault().message})

    return [written(place) for place in content]


def _object(signature: Signature, top_k: int | None, outputs: Mapping[str, Any]) -> Written:
    """Return the model's answer; text in it is `str`, even if the handler returned bytes."""
    answer = signature.answer(outputs, top_k)
    if bytes not in map(type, answer.values()):
        return answer
    texts = {spec.name for spec in signature.outputs if spec.text}
    return {
        name: value.decode() if name in texts and isinstance(value, bytes) else value
        for name, value in answer.items()
    }


def _json_value(value: Any) -> Any:
    """Return a value that orjson can write instead of a value that it does not know."""
    if isinstance(value, bytes):
        return pybase64.b64encode_as_string(value)
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be sent")
