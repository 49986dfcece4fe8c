"""The answers of /predict/, in JSON and msgpack, and of the Open Inference Protocol, in JSON and binary data.

The answer of /predict/ is an item's object, or a list with an object or an error for each item.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import orjson
import pybase64
from numpy.typing import NDArray

from serving_core.calls import Answer, Outcome, Outputs, Signature
from serving_core.codecs import oip_tensors
from serving_core.errors import RequestError, fault
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

MSGPACK = b"application/msgpack"
BINARY_TYPE = b"application/octet-stream"

Written = Mapping[str, Any]

# the error of one item of several
UNWRITTEN = "an item's answer could not be written"

log = logging.getLogger("serving_core.codecs.answers")


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


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """An output that the request asks for, as binary data or in the JSON."""

    spec: TensorSpec
    binary: bool


def write_inference(
    signature: Signature,
    identifier: str | None,
    wanted: Sequence[WantedOutput],
    texts: Sequence[str],
    outcomes: Sequence[Outcome],
) -> Answer:
    """Return the answer; if an outcome is a RequestError, raises the first of these.

    `texts` names the inputs that were read as text only because they have no content type.
    """
    results = _results(outcomes, texts)
    answer: dict[str, Any] = {"model_name": signature.name}
    if signature.version is not None:
        answer["model_version"] = signature.version
    if identifier is not None:
        answer["id"] = identifier
    parts: list[bytes] = []
    answer["outputs"] = [_output(want, results, parts) for want in wanted]
    text = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    if not any(want.binary for want in wanted):
        return Answer(text)
    length = (b"inference-header-content-length", b"%d" % len(text))
    return Answer(b"".join([text, *parts]), BINARY_TYPE, (length,))


def _results(outcomes: Sequence[Outcome], texts: Sequence[str]) -> Sequence[Outputs]:
    results: list[Outputs] = []
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, RequestError):
            raise _refusal(outcome, index if len(outcomes) > 1 else None, texts)
        results.append(outcome)
    return results


def _refusal(outcome: RequestError, index: int | None, texts: Sequence[str]) -> RequestError:
    message = outcome.message if index is None else f"item {index}: {outcome.message}"
    if outcome.status == 422 and texts:
        message += f' (input {texts[0]!r} was taken as text: is its parameter content_type to be "base64"?)'
    return RequestError(outcome.status, message, outcome.retry_after_s)


def _output(want: WantedOutput, results: Sequence[Outputs], parts: list[bytes]) -> dict[str, Any]:
    """Return one output's JSON; append its binary data, if it has any, to `parts`."""
    spec = want.spec
    output: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype}
    if spec.datatype == BYTES:
        values = [_as_bytes(result[spec.name]) for result in results]
        output["shape"] = [len(values)]
        if want.binary:
            parts.append(oip_tensors.bytes_to_binary(values))
        else:
            if not spec.text:
                output["parameters"] = {"content_type": oip_tensors.BASE64}
            output["data"] = oip_tensors.bytes_to_json(spec, values)
    else:
        array = _together(spec, [result[spec.name] for result in results])
        output["shape"] = array.shape
        if want.binary:
            parts.append(oip_tensors.numbers_to_binary(array))
        else:
            output["data"] = oip_tensors.numbers_to_json(spec, array)
    if want.binary:
        output["parameters"] = {"binary_data_size": len(parts[-1])}
    return output


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _together(spec: TensorSpec, values: Sequence[Any]) -> NDArray[Any]:
    """Return the items' values as one contiguous tensor [n, ...] of the spec's datatype.

    Raises RequestError 400 if the sizes of the items differ, ValueError if a value violates the spec.
    """
    arrays = [np.asarray(value) for value in values]
    for array in arrays:
        if len(array.shape) != len(spec.shape) or not all(
            known in {-1, size} for known, size in zip(spec.shape, array.shape, strict=True)
        ):
            raise ValueError(f"output {spec.name!r} has shape {array.shape}, its spec {spec.shape}")
    if any(array.shape != arrays[0].shape for array in arrays):
        raise RequestError(
            400, f"output {spec.name!r} differs in size from item to item: send one item in each request"
        )
    with np.errstate(over="ignore"):  # a float64 may become infinite as FP32
        return np.stack(arrays, dtype=NUMERIC[spec.datatype], casting="same_kind")
