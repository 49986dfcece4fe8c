"""The OpenAPI document: every route, its requests and its answers, for the models that are served."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving_core.calls import JSON_TYPE, Signature
from serving_core.codecs.encodings import FORM_TYPE, MSGPACK_TYPE, RAW_TYPES, plural_of, raw_types
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

Schema = dict[str, Any]

BINARY: Schema = {"type": "string", "format": "binary"}
BASE64: Schema = {"type": "string", "format": "byte", "contentEncoding": "base64", "minLength": 4}
CONTENT_TYPES: Schema = {"enum": ["base64", "str", "np", "pd"]}
ERROR: Schema = {"$ref": "#/components/schemas/Error"}


def ref(signature: Signature, kind: str) -> Schema:
    """Return a reference to one of the schemas of `schemas_of`."""
    return {"$ref": f"#/components/schemas/{signature.name}.{kind}"}


def schemas_of(signature: Signature) -> dict[str, Schema]:
    """Return a model's schemas, by the names to which `ref` refers."""
    schemas = {
        "item": _requested(signature, packed=False),
        "packed": _requested(signature, packed=True),
        "answer": {"anyOf": _answers(signature)},
        "answers": {
            "anyOf": [
                ref(signature, "answer"),
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": signature.max_items,
                    "items": {"anyOf": [ref(signature, "answer"), ERROR]},
                },
            ]
        },
        "infer": _infer_request(signature),
        "inferred": _infer_answer(signature),
    }
    return {f"{signature.name}.{kind}": schema for kind, schema in schemas.items()}


def ranks(signature: Signature) -> bool:
    """Tell whether the model accepts `top_k`."""
    return _answer_shape(signature, 1) is not None


def object_of(properties: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": {**properties},
        "additionalProperties": False,
    }


def _requested(signature: Signature, *, packed: bool) -> Schema:
    """Return the schema of one item or of several; in a list any value may stand in place of an item."""
    values = {spec.name: _value(spec, packed) for spec in signature.inputs}
    one = object_of(values)
    item = next(iter(values.values())) if len(values) == 1 else one
    several = {
        "type": "array",
        "minItems": 1,
        "maxItems": signature.max_items,
        "items": {"anyOf": [item, {}]},
    }
    return {"anyOf": [one, object_of({plural_of(signature): several})]}


def _value(spec: TensorSpec, packed: bool) -> Schema:
    if spec.datatype == BYTES:
        if spec.text:
            return {"type": "string"}
        return BINARY if packed else BASE64
    schema = _element(spec.datatype)
    for size in reversed(spec.shape):
        schema = {"type": "array", "items": schema}
        if size != -1:
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _element(datatype: str) -> Schema:
    if datatype == "BOOL":
        return {"type": "boolean"}
    kind = NUMERIC[datatype]
    if datatype.startswith("FP"):
        most = float(np.finfo(kind.str).max)
        return {"type": "number", "minimum": -most, "maximum": most}
    return {"type": "integer", "minimum": int(np.iinfo(kind.str).min), "maximum": int(np.iinfo(kind.str).max)}


def _answers(signature: Signature) -> list[Schema]:
    schemas = [_answer_shape(signature, None), _answer_shape(signature, 1)]
    return [schema for schema in schemas if schema is not None] or [{"type": "object"}]


def _answer_shape(signature: Signature, top_k: int | None) -> Schema | None:
    """Return the schema of the model's answer to outputs of zeros; None if the model gives no answer."""
    outputs = {spec.name: _zero(spec) for spec in signature.outputs}
    try:
        return _shape_of(dict(signature.answer(outputs, top_k)))
    except RequestError:
        return None
    except Exception:  # noqa: BLE001 - a handler's own code, which may fail with zeros
        return None if top_k else {"type": "object"}


def _zero(spec: TensorSpec) -> Any:
    if spec.datatype == BYTES:
        return "" if spec.text else b""
    return np.zeros([max(size, 1) for size in spec.shape], NUMERIC[spec.datatype])


def _shape_of(value: Any) -> Schema:
    """Return the schema of values like `value`; a NumPy array may hold NaN, which JSON writes as null."""
    if isinstance(value, dict):
        return object_of({name: _shape_of(inner) for name, inner in value.items()})
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        kinds = {"b": "boolean", "f": ["number", "null"]}
        schema: Schema = {"type": kinds.get(array.dtype.kind, "integer")}
        for _ in array.shape:
            schema = {"type": "array", "items": schema}
        return schema
    if isinstance(value, list | tuple):
        return {"type": "array", "items": _shape_of(value[0]) if value else {}}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int | float):
        return {"type": "integer" if isinstance(value, int) else "number"}
    return {"type": "string"} if isinstance(value, str | bytes) else {}


def _infer_request(signature: Signature) -> Schema:
    names = [spec.name for spec in signature.outputs]
    output = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"enum": names},
            "parameters": {"$ref": "#/components/schemas/OutputParameters"},
        },
    }
    inputs = [_infer_input(spec, signature.max_items) for spec in signature.inputs]
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {
                "type": "object",
                "properties": {"binary_data_output": {"type": "boolean"}, "content_type": CONTENT_TYPES},
            },
            "inputs": {
                "type": "array",
                "minItems": len(inputs),
                "maxItems": len(inputs),
                "items": {"anyOf": inputs} if len(inputs) > 1 else inputs[0],
            },
            "outputs": {"type": "array", "maxItems": len(names), "items": output},
        },
    }


def _infer_input(spec: TensorSpec, max_items: int) -> Schema:
    shape: Schema = {
        "type": "array",
        "prefixItems": _dimensions(spec, max_items),
        "minItems": 1 + len(spec.shape),
        "maxItems": 2 if spec.datatype == BYTES else 1 + len(spec.shape),
        "description": "The number of items is the first dimension.",
    }
    encoded = spec.datatype == BYTES and not spec.text
    parameters: dict[str, Schema] = {"binary_data_size": {"type": "integer", "minimum": 0}}
    if spec.datatype == BYTES:
        parameters["content_type"] = CONTENT_TYPES
    element = {"type": "string"} if spec.datatype == BYTES else _element(spec.datatype)
    return {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"const": spec.name},
            "shape": shape,
            "datatype": {"const": spec.datatype},
            "parameters": {"type": "object", "properties": parameters},
            "data": {
                "description": "Nested or flat, row-major; absent if binary_data_size says that the data "
                "follow the JSON." + (' Base64, with content_type "base64".' if encoded else ""),
                "type": "array",
                "items": {"anyOf": [element, {"type": "array"}]},
            },
        },
    }


def _dimensions(spec: TensorSpec, max_items: int) -> list[Schema]:
    known = [1] if spec.datatype == BYTES else spec.shape
    count: Schema = {"type": "integer", "minimum": 1, "maximum": max_items}
    return [count, *({"type": "integer", "minimum": 0} if size == -1 else {"const": size} for size in known)]


def _infer_answer(signature: Signature) -> Schema:
    outputs = {
        "type": "array",
        "minItems": 1,
        "maxItems": len(signature.outputs),
        "items": {"anyOf": [_infer_output(spec) for spec in signature.outputs]},
    }
    properties: dict[str, Schema] = {"model_name": {"const": signature.name}, "outputs": outputs}
    if signature.version is not None:
        properties["model_version"] = {"const": signature.version}
    return object_of({**properties, "id": {"type": "string"}}, optional=("id",))


def _infer_output(spec: TensorSpec) -> Schema:
    element = {"type": "string"} if spec.datatype == BYTES else _element(spec.datatype)
    return object_of(
        {
            "name": {"const": spec.name},
            "shape": {
                "type": "array",
                "minItems": 1 + len(spec.shape),
                "maxItems": 1 + len(spec.shape),
                "items": {"type": "integer", "minimum": 0},
            },
            "datatype": {"const": spec.datatype},
            "data": {"type": "array", "items": element},
            "parameters": {"type": "object"},
        },
        optional=("data", "parameters"),
    )


OCTETS_TYPE = "application/octet-stream"
_REQUEST_ID = {
    "X-Request-Id": {"description": "The request's own id, or a new id.", "schema": {"type": "string"}}
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Whole seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
# the refusals of any route
_REFUSALS = {
    400: "The request is malformed: not HTTP/1.1, or its headers are too long.",
    408: "The headers did not arrive in time.",
    500: "The service's own fault: report it with the X-Request-Id.",
    503: "Not ready yet, shutting down, or too many connections.",
}
_PREDICT_REFUSALS = {
    **_REFUSALS,
    400: "Not JSON, not base64, wrong fields, parameters, tensor shape or datatype, or empty.",
    408: "The headers or the body did not arrive in time.",
    413: "The body is over the byte limit, or an image over the pixel limit.",
    415: "The content type or content encoding is not served.",
    422: "Not an image, or a truncated or corrupt image.",
    429: "The queue is full.",
    504: "The request's deadline passed.",
}
_NO_MODEL = {404: "No model has this name, or this version."}
_HEADERS = [
    {
        "name": "X-Request-Timeout-Ms",
        "in": "header",
        "description": "The request's deadline in milliseconds, instead of the default deadline.",
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
    "description": "Answer with the best k classes in order, or with all classes if there are fewer.",
    "schema": {"type": "integer", "minimum": 1},
}
_HEADER_LENGTH_TEXT = "The length in bytes of the JSON in front of binary data"
_HEADER_LENGTH = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": f"{_HEADER_LENGTH_TEXT}; 0 if the body is the model's only input itself.",
    "schema": {"type": "integer", "minimum": 0},
}


def describe(title: str, version: str, signatures: Sequence[Signature]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a service; /predict/ serves the first of the models."""
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
    """Return the routes that describe a model, whose name is in the path."""

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
        "description": "One item, or several in a list or form. The answer to several is a list in their "
        "order, with an error in the place of each bad item. Msgpack is answered in msgpack, errors in JSON.",
        "parameters": [*([_TOP_K] if ranks(signature) else []), *_HEADERS],
        "requestBody": {"required": True, "content": content},
        "responses": _responses(answers, _PREDICT_REFUSALS, "The model's answer"),
    }


def _infer(signature: Signature) -> dict[str, Any]:
    answer = {"schema": ref(signature, "inferred")}
    length = {"description": f"{_HEADER_LENGTH_TEXT}.", "schema": {"type": "integer", "minimum": 1}}
    return {
        "summary": f"Ask {signature.name} by the Open Inference Protocol",
        "description": "Tensors in JSON, binary tensors after it in declared order; or the only input alone.",
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
            "The requested outputs",
            **{"Inference-Header-Content-Length": length},
        ),
    }
