"""MLServer's codecs as they write requests and read answers, by hand: the JSON that its clients send."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATATYPES = {"float32": "FP32", "float64": "FP64", "int32": "INT32", "int64": "INT64"}


def base64_input(name: str, payload: list[bytes]) -> dict[str, Any]:
    """Base64Codec.encode_input(..., use_bytes=False)."""
    return {
        "name": name,
        "shape": [len(payload), 1],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [base64.b64encode(element).decode() for element in payload],
    }


def string_input(name: str, payload: list[str]) -> dict[str, Any]:
    """StringCodec.encode_input(..., use_bytes=False)."""
    return {
        "name": name,
        "shape": [len(payload), 1],
        "datatype": "BYTES",
        "parameters": {"content_type": "str"},
        "data": payload,
    }


def numpy_input(name: str, payload: NDArray[Any]) -> dict[str, Any]:
    """NumpyCodec.encode_input, which gives a vector a second dimension of 1."""
    shape = [*payload.shape] if payload.ndim > 1 else [*payload.shape, 1]
    return {
        "name": name,
        "shape": shape,
        "datatype": DATATYPES[str(payload.dtype)],
        "parameters": {"content_type": "np"},
        "data": payload.flatten().tolist(),
    }


def string_output(output: dict[str, Any]) -> list[str]:
    """StringCodec.decode_output."""
    assert output["datatype"] == "BYTES"
    return [element for element in output["data"] if isinstance(element, str)]


def numpy_output(output: dict[str, Any]) -> NDArray[Any]:
    """NumpyCodec.decode_output."""
    names = {datatype: name for name, datatype in DATATYPES.items()}
    return np.array(output["data"], names[output["datatype"]]).reshape(output["shape"])
