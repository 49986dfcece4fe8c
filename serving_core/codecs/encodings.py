"""The encodings of /predict/ and /{model}/predict: which one a request has, told before its body is read."""

from functools import partial
from urllib.parse import parse_qsl

from serving_core.calls import JSON_TYPE, Headers, Parse, Signature
from serving_core.codecs import encodings_body
from serving_core.codecs.encodings_answer import write_json, write_msgpack
from serving_core.codecs.encodings_form import boundary_of
from serving_core.errors import RequestError
from serving_core.tensors import BYTES

MSGPACK_TYPE = "application/msgpack"
FORM_TYPE = "multipart/form-data"
TEXT_TYPE = "text/plain"
RAW_TYPES = ("application/octet-stream", "image/jpeg", "image/png", "image/webp")
MOST_DIGITS = 9


def served_types(signature: Signature) -> tuple[str, ...]:
    """Return the content types in which a model takes its inputs."""
    return (JSON_TYPE, MSGPACK_TYPE, *_only_input_types(signature))


def raw_types(signature: Signature) -> tuple[str, ...]:
    """Return the content types of bodies that are the model's only input itself, () where it is no BYTES."""
    if len(signature.inputs) != 1 or signature.inputs[0].datatype != BYTES:
        return ()
    return (TEXT_TYPE,) if signature.inputs[0].text else RAW_TYPES


def _only_input_types(signature: Signature) -> tuple[str, ...]:
    raw = raw_types(signature)
    return (*raw, FORM_TYPE) if raw else ()


def choose(headers: Headers, query: bytes, signature: Signature) -> Parse:
    """Return how the body is to be taken apart; raises RequestError 400 or 415."""
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in {b"identity", b""}:
        raise RequestError(415, "compressed bodies are not served: send no Content-Encoding")
    top_k = _top_k(query) if query else None
    sent = headers.get(b"content-type", b"")
    kind = sent.decode("latin-1").partition(";")[0].strip().lower()
    if kind == JSON_TYPE:
        return partial(encodings_body.parse_json, signature, partial(write_json, signature, top_k))
    if kind == MSGPACK_TYPE:
        return partial(encodings_body.parse_msgpack, signature, partial(write_msgpack, signature, top_k))
    if kind not in _only_input_types(signature):
        named = f"content type {kind[:80]!r} is not served" if kind else "the content type is missing"
        raise RequestError(415, f"{named}: send one of {', '.join(served_types(signature))}")
    if kind == FORM_TYPE:
        boundary = boundary_of(sent)
        return partial(encodings_body.parse_form, signature, boundary, partial(write_json, signature, top_k))
    return partial(encodings_body.parse_raw, signature, partial(write_json, signature, top_k))


def _top_k(query: bytes) -> int | None:
    """Return how many classes are asked for, None where the query does not say; raises RequestError 400."""
    try:
        # what a client leaves when it joins nothing to its fields
        fields = query.strip(b"&").decode("latin-1")
        sent = parse_qsl(fields, keep_blank_values=True, max_num_fields=1)
    except ValueError:
        raise RequestError(400, "the query has more than one parameter: send top_k once, or none") from None
    if not sent:
        return None
    ((name, value),) = sent
    if name != "top_k":
        raise RequestError(400, f"there is no query parameter {name[:80]!r}: send top_k, or none")
    if not (value.isascii() and value.isdigit()) or value.startswith("0"):
        raise RequestError(400, "top_k is wrong: send a whole number from 1")
    return int(value[:MOST_DIGITS])  # beyond all classes either way
