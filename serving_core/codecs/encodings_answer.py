"""The answer of /predict/: an item's object, or a list of them with errors in their own places."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np
import orjson
import pybase64

from serving_core.calls import Answer, Outcome, Signature
from serving_core.errors import RequestError

Written = Mapping[str, Any]


def write_json(signature: Signature, top_k: int | None, several: bool, outcomes: Sequence[Outcome]) -> Answer:
    """Return the answer in JSON, a list where `several`; raises RequestError for an only outcome that is one.

    Bytes are written in base64, NaN and infinity as null.
    """
    content = _content(signature, top_k, several, outcomes)
    return Answer(orjson.dumps(content, _json_value, orjson.OPT_SERIALIZE_NUMPY))


def write_msgpack(
    signature: Signature, top_k: int | None, several: bool, outcomes: Sequence[Outcome]
) -> Answer:
    """Return the answer in msgpack; else as `write_json`."""
    packed: bytes = msgpack.packb(_content(signature, top_k, several, outcomes), default=_plain)
    return Answer(packed, b"application/msgpack")


def _content(signature: Signature, top_k: int | None, several: bool, outcomes: Sequence[Outcome]) -> Any:
    if several:
        return [_place(signature, top_k, outcome) for outcome in outcomes]
    (outcome,) = outcomes
    if isinstance(outcome, RequestError):
        raise outcome
    return _object(signature, top_k, outcome)


def _place(signature: Signature, top_k: int | None, outcome: Outcome) -> Written:
    if isinstance(outcome, RequestError):
        return {"error": outcome.message}
    return _object(signature, top_k, outcome)


def _object(signature: Signature, top_k: int | None, outputs: Mapping[str, Any]) -> Written:
    """Return what the model answers, with text as text whichever way it came."""
    answer = signature.answer(outputs, top_k)
    if bytes not in map(type, answer.values()):
        return answer
    texts = {spec.name for spec in signature.outputs if spec.text}
    return {
        name: value.decode() if name in texts and isinstance(value, bytes) else value
        for name, value in answer.items()
    }


def _json_value(value: Any) -> Any:
    """Return what orjson is to write instead of a value that it does not know."""
    if isinstance(value, bytes):
        return pybase64.b64encode_as_string(value)
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be sent")
