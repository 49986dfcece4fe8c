"""The Open Inference Protocol v2 over HTTP: which form a request has, and what describes server and model."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from serving_core.calls import JSON_TYPE, Headers, Parse, Signature
from serving_core.codecs.oip_request import parse, parse_raw
from serving_core.errors import RequestError
from serving_core.tensors import TensorSpec

OCTETS = "application/octet-stream"
HEADER = b"inference-header-content-length"
LONGEST_LENGTH_DIGITS = 18


def choose(headers: Headers, signature: Signature) -> Parse:
    """Return how the body is to be taken apart; raises RequestError 400 or 415."""
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
                "in bytes, or 0 where the body is the input itself",
            )
        _check_type(kind, JSON_TYPE)
        return partial(parse, signature, None)
    if not length.isdigit() or len(length) > LONGEST_LENGTH_DIGITS:
        raise RequestError(
            400, "Inference-Header-Content-Length is wrong: send the length of the JSON in bytes, or 0"
        )
    header_bytes = int(length)
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
    """Return what GET /v2 answers."""
    return {"name": name, "version": version, "extensions": ["binary_tensor_data"]}


def model_metadata(signature: Signature) -> dict[str, Any]:
    """Return what GET /v2/models/{model} answers: shapes [-1, ...], the batch in front."""
    return {
        "name": signature.name,
        "versions": [] if signature.version is None else [signature.version],
        "platform": signature.platform,
        "inputs": [_tensor(spec) for spec in signature.inputs],
        "outputs": [_tensor(spec) for spec in signature.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": [-1, *spec.shape]}
