"""What the OpenAPI document says of the prediction route, which as plain ASGI does not describe itself."""

from typing import Any

from serving_core.bodies import JSON_TYPE, RAW_TYPES

_ERROR = {
    "application/json": {
        "schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    }
}
_REFUSALS = {
    400: "not JSON, not base64, wrong fields, or empty",
    408: "the body did not arrive in time",
    413: "the body is over the byte limit or the image over the pixel limit",
    415: "a content type that is not served",
    422: "not an image, or a truncated or corrupt one",
    429: "the queue is full; see Retry-After",
    500: "our fault",
    503: "not ready yet, or shutting down; see Retry-After",
    504: "the request's deadline passed",
}
_ANSWER = {
    "type": "object",
    "required": ["prediction", "probabilities"],
    "properties": {
        "prediction": {"type": "string"},
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}
_IMAGE_JSON = {
    "type": "object",
    "required": ["image"],
    "additionalProperties": False,
    "properties": {"image": {"type": "string", "contentEncoding": "base64"}},
}
_OPERATION: dict[str, Any] = {
    "post": {
        "summary": "Predict",
        "description": "Classify one image, sent as base64 in JSON or as the raw body.",
        "parameters": [
            {
                "name": "X-Request-Timeout-Ms",
                "in": "header",
                "required": False,
                "schema": {"type": "integer", "minimum": 1, "maximum": 3_600_000},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON_TYPE: {"schema": _IMAGE_JSON},
                **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in sorted(RAW_TYPES)},
            },
        },
        "responses": {
            "200": {"description": "The prediction", "content": {"application/json": {"schema": _ANSWER}}},
            **{str(status): {"description": text, "content": _ERROR} for status, text in _REFUSALS.items()},
        },
    }
}
PREDICT_PATHS: dict[str, Any] = {"/predict/": _OPERATION, "/predict": _OPERATION}
