"""An inference answer of the Open Inference Protocol: JSON, followed by the binary outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving_core.calls import Answer, Outcome, Outputs, Signature
from serving_core.codecs import oip_tensors
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

BINARY_TYPE = b"application/octet-stream"


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """An output that the request asks for, as binary data or in the JSON."""

    spec: TensorSpec
    binary: bool


def encode(
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
