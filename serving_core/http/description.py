"""The OpenAPI document: every route, what it takes and what it answers, by the models that are served."""

from collections.abc import Sequence
from typing import Any

from serving_core.calls import JSON_TYPE, Signature
from serving_core.codecs.encodings import FORM_TYPE, MSGPACK_TYPE, RAW_TYPES, raw_types
from serving_core.http.description_schemas import BINARY, ERROR, Schema, object_of, ranks, ref, schemas_of

OCTETS_TYPE = "application/octet-stream"
_REQUEST_ID = {
    "X-Request-Id": {"description": "The request's own, or a new one.", "schema": {"type": "string"}}
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Whole seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
# what any route may answer
_REFUSALS = {
    400: "The request is malformed: not HTTP/1.1, or its headers are too long.",
    408: "The headers did not arrive in time.",
    500: "Our fault: report it with the X-Request-Id.",
    503: "Not ready yet, shutting down, or too many connections.",
}
_PREDICT_REFUSALS = {
    **_REFUSALS,
    400: "Not JSON, not base64, wrong fields, parameters, tensor shape or datatype, or empty.",
    408: "The headers or the body did not arrive in time.",
    413: "The body is over the byte limit, or an image over the pixel limit.",
    415: "The content type or content encoding is not served.",
    422: "Not an image, or a truncated or corrupt one.",
    429: "The queue is full.",
    504: "The request's deadline passed.",
}
_NO_MODEL = {404: "There is no such model or version."}
_HEADERS = [
    {
        "name": "X-Request-Timeout-Ms",
        "in": "header",
        "description": "The request's deadline in milliseconds, instead of the default one.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 3_600_000},
    },
    {
        "name": "X-Request-Id",
        "in": "header",
        "description": "A name for the request, sent back and logged; its first 128 bytes count.",
        "schema": {"type": "string"},
    },
]
_TOP_K = {
    "name": "top_k",
    "in": "query",
    "description": "Answer with the best k classes in order, or with all where there are fewer.",
    "schema": {"type": "integer", "minimum": 1},
}
_HEADER_LENGTH_TEXT = "The length in bytes of the JSON in front of binary data"
_HEADER_LENGTH = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": f"{_HEADER_LENGTH_TEXT}; 0 where the body is the model's only input itself.",
    "schema": {"type": "integer", "minimum": 0},
}


def describe(title: str, version: str, signatures: Sequence[Signature]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a service whose first model is the one that /predict/ asks."""
    paths = _service_paths(title)
    schemas: dict[str, Schema] = {"Error": object_of({"error": {"type": "string", "minLength": 1}})}
    if signatures:
        schemas |= _shared_schemas()
        paths |= _model_paths(signatures)
        for path in ("/predict/", "/predict"):
            paths[path] = {"post": _predict(signatures[0])}
    for signature in signatures:
        schemas |= schemas_of(signature)
        for path in (f"/{signature.name}/predict", f"/{signature.name}/predict/"):
            paths[path] = {"post": _predict(signature)}
        paths[f"/v2/models/{signature.name}/infer"] = {"post": _infer(signature)}
        if signature.version is not None:
            versioned = f"/v2/models/{signature.name}/versions/{signature.version}/infer"
            paths[versioned] = {"post": _infer(signature)}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _responses(
    content: dict[str, Any], refusals: dict[int, str], text: str, **headers: Any
) -> dict[str, Any]:
    answers: dict[str, Any] = {
        "200": {"description": text, "headers": {**_REQUEST_ID, **headers}, "content": content}
    }
    for status, said in sorted(refusals.items()):
        waits = _RETRY_AFTER if status in (429, 503) else {}
        answers[str(status)] = {
            "description": said,
            "headers": {**_REQUEST_ID, **waits},
            "content": {JSON_TYPE: {"schema": ERROR}},
        }
    return answers


def _get(
    summary: str,
    schema: Schema,
    refusals: dict[int, str] = _REFUSALS,
    parameters: Sequence[Any] = (),
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": _responses({JSON_TYPE: {"schema": schema}}, refusals, summary),
    }
    if parameters:
        operation["parameters"] = [*parameters]
    return {"get": operation}


def _service_paths(title: str) -> dict[str, Any]:
    live = object_of({"status": {"const": "healthy"}, "live": {"const": True}})
    text = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", "application/openmetrics-text")}
    metrics = {
        "summary": "The metrics, in Prometheus text or OpenMetrics",
        "responses": _responses(text, _REFUSALS, "The metrics"),
    }
    server: dict[str, Schema] = {
        "name": {"const": title},
        "version": {"type": "string"},
        "extensions": {"type": "array", "items": {"type": "string"}},
    }
    return {
        "/": _get(
            "That the service is up",
            object_of({"status": {"const": "healthy"}, "message": {"type": "string"}}),
        ),
        "/ping": _get("Whether the process can still answer", live),
        "/api-description": _get("This document", {"type": "object", "required": ["openapi", "paths"]}),
        "/metrics": {"get": metrics},
        "/v2": _get("The server and its extensions of the protocol", object_of(server)),
        "/v2/health/live": _get("Whether the process can still answer", live),
        "/v2/health/ready": _get("Whether every model is served now", object_of({"ready": {"const": True}})),
    }


def _shared_schemas() -> dict[str, Schema]:
    tensor = object_of(
        {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": -1}},
        }
    )
    tensors: Schema = {"type": "array", "items": {"$ref": "#/components/schemas/TensorMetadata"}}
    strings: Schema = {"type": "array", "items": {"type": "string"}}
    model: dict[str, Schema] = {
        "name": {"type": "string"},
        "versions": strings,
        "platform": {"type": "string"},
    }
    return {
        "TensorMetadata": tensor,
        "ModelMetadata": object_of({**model, "inputs": tensors, "outputs": tensors}),
        "ModelReady": object_of({"name": {"type": "string"}, "ready": {"const": True}}),
        "OutputParameters": {
            "type": "object",
            "properties": {"binary_data": {"type": "boolean"}, "classification": {"const": 0}},
        },
    }


def _model_paths(signatures: Sequence[Signature]) -> dict[str, Any]:
    """Return the routes that tell of a model, which is named in the path."""

    def part(name: str, values: Sequence[str]) -> dict[str, Any]:
        return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": [*values]}}

    model = part("model", [signature.name for signature in signatures])
    versions = sorted({signature.version for signature in signatures if signature.version is not None})
    roots: dict[str, list[dict[str, Any]]] = {"/v2/models/{model}": [model]}
    if versions:
        roots["/v2/models/{model}/versions/{version}"] = [model, part("version", versions)]
    refusals = {**_REFUSALS, **_NO_MODEL}
    paths: dict[str, Any] = {}
    for root, parameters in roots.items():
        metadata: Schema = {"$ref": "#/components/schemas/ModelMetadata"}
        paths[root] = _get("A model's inputs and outputs", metadata, refusals, parameters)
        ready: Schema = {"$ref": "#/components/schemas/ModelReady"}
        paths[f"{root}/ready"] = _get("Whether a model is served now", ready, refusals, parameters)
    return paths


def _predict(signature: Signature) -> dict[str, Any]:
    raw = raw_types(signature)
    content: dict[str, Any] = {
        JSON_TYPE: {"schema": ref(signature, "item")},
        MSGPACK_TYPE: {"schema": ref(signature, "packed")},
        **{kind: {"schema": BINARY if kind in RAW_TYPES else {"type": "string"}} for kind in raw},
    }
    if raw:
        file = {"type": "array", "items": BINARY, "minItems": 1, "maxItems": signature.max_items}
        form = object_of({"file": file})
        types = {"file": {"contentType": ", ".join(raw)}}
        content[FORM_TYPE] = {"schema": form, "encoding": types}
    answers = {kind: {"schema": ref(signature, "answers")} for kind in (JSON_TYPE, MSGPACK_TYPE)}
    return {
        "summary": f"Ask {signature.name}",
        "description": "One item, or several in a list or form: then the answer is a list in their order, "
        "with an error in the place of each bad one. Msgpack is answered in msgpack, errors in JSON.",
        "parameters": [*([_TOP_K] if ranks(signature) else []), *_HEADERS],
        "requestBody": {"required": True, "content": content},
        "responses": _responses(answers, _PREDICT_REFUSALS, "What the model says"),
    }


def _infer(signature: Signature) -> dict[str, Any]:
    answer = {"schema": ref(signature, "inferred")}
    length = {"description": f"{_HEADER_LENGTH_TEXT}.", "schema": {"type": "integer", "minimum": 1}}
    return {
        "summary": f"Ask {signature.name} by the Open Inference Protocol",
        "description": "Tensors in JSON, binary ones after it in declared order, or the only input itself.",
        "parameters": [_HEADER_LENGTH, *_HEADERS],
        "requestBody": {
            "required": True,
            "content": {
                JSON_TYPE: {"schema": ref(signature, "infer")},
                OCTETS_TYPE: {"schema": BINARY},
            },
        },
        "responses": _responses(
            {JSON_TYPE: answer, OCTETS_TYPE: {"schema": BINARY}},
            _PREDICT_REFUSALS,
            "The outputs asked for",
            **{"Inference-Header-Content-Length": length},
        ),
    }
