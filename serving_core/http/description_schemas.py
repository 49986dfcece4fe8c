"""The JSON Schemas of what is sent to a model and of what it answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving_core.calls import Signature
from serving_core.codecs.encodings_body import plural_of
from serving_core.errors import RequestError
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

Schema = dict[str, Any]

BINARY: Schema = {"type": "string", "format": "binary"}
BASE64: Schema = {"type": "string", "format": "byte", "contentEncoding": "base64", "minLength": 4}
CONTENT_TYPES: Schema = {"enum": ["base64", "str", "np", "pd"]}
ERROR: Schema = {"$ref": "#/components/schemas/Error"}


def ref(signature: Signature, kind: str) -> Schema:
    """Return a reference to one of the schemas that `schemas_of` names."""
    return {"$ref": f"#/components/schemas/{signature.name}.{kind}"}


def schemas_of(signature: Signature) -> dict[str, Schema]:
    """Return a model's schemas by the names that `ref` refers to."""
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
    """Tell whether the model answers to `top_k`."""
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
    """Return the schema of one item or of several, where anything may stand in a bad one's place."""
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
    found = [_answer_shape(signature, None), _answer_shape(signature, 1)]
    return [schema for schema in found if schema is not None] or [{"type": "object"}]


def _answer_shape(signature: Signature, top_k: int | None) -> Schema | None:
    """Return the schema of what the model answers to outputs of zeros, None where it answers nothing."""
    outputs = {spec.name: _zero(spec) for spec in signature.outputs}
    try:
        return _shape_of(dict(signature.answer(outputs, top_k)))
    except RequestError:
        return None
    except Exception:  # noqa: BLE001 - a handler's own code, which may make nothing of zeros
        return None if top_k else {"type": "object"}


def _zero(spec: TensorSpec) -> Any:
    if spec.datatype == BYTES:
        return "" if spec.text else b""
    return np.zeros([max(size, 1) for size in spec.shape], NUMERIC[spec.datatype])


def _shape_of(value: Any) -> Schema:
    """Return the schema of values like this one; a NumPy array may hold NaN, which JSON has as null."""
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
        "description": "The number of items in front.",
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
                "description": "Nested or flat, row-major; absent where binary_data_size says that the data "
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
