"""What is wrong with an inference request: each trap of the protocol, and a message for it."""

import json
import struct
from typing import Any

import pytest

from tests.contract.encodings import HEADER_LENGTH, INFER, JSON, VERSION_INFER, Request
from tests.contract.refusals import check_refusal

OCTETS = "application/octet-stream"


def image_tensor(**changes: Any) -> dict[str, Any]:
    parameters = {"content_type": "base64"}
    whole = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": parameters, "data": ["YQ=="]}
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("request_body", "status"),
    [
        ([], 400),
        ({}, 400),
        ({"inputs": []}, 400),
        ({"inputs": {}}, 400),
        ({"inputs": [7]}, 400),
        ({"inputs": [image_tensor(), image_tensor()]}, 400),
        ({"inputs": [image_tensor(name="picture")]}, 400),
        ({"inputs": [image_tensor(datatype="FP32")]}, 400),
        ({"inputs": [image_tensor(datatype=None)]}, 400),
        ({"inputs": [image_tensor(shape=[2])]}, 400),
        ({"inputs": [image_tensor(shape=[0], data=[])]}, 400),
        ({"inputs": [image_tensor(shape=[-1])]}, 400),
        ({"inputs": [image_tensor(shape=[1, 2])]}, 400),
        ({"inputs": [image_tensor(shape=["1"])]}, 400),
        ({"inputs": [image_tensor(shape=[])]}, 400),
        ({"inputs": [image_tensor(shape=[1 << 70])]}, 400),
        ({"inputs": [image_tensor(data=None)]}, 400),
        ({"inputs": [image_tensor(data=[7])]}, 400),
        ({"inputs": [image_tensor(data=["not base64"])]}, 400),
        ({"inputs": [image_tensor(data=[["YQ=="], ["YQ=="]])]}, 400),
        ({"inputs": [image_tensor()], "outputs": [{"name": "colour"}]}, 400),
        ({"inputs": [image_tensor()], "outputs": "label"}, 400),
        ({"inputs": [image_tensor()], "id": 7}, 400),
        ({"inputs": [image_tensor(parameters={"binary_data_size": 1}, data=None)]}, 400),
        ({"inputs": [image_tensor(parameters={"shared_memory_region": "r"}, data=None)]}, 400),
        ({"inputs": [image_tensor()]}, 422),
    ],
)
def test_a_wrong_inference_request_gets_its_status_and_a_message(
    service: Any, request_body: Any, status: int
) -> None:
    for path in (INFER, VERSION_INFER):
        check_refusal(service.post(json.dumps(request_body).encode(), "application/json", path), status)


def binary(data: bytes, length: str | None = None, size: int | None = None) -> Request:
    """A binary request of one element, its header's length or its tensor's size perhaps wrong."""
    tensor = image_tensor(parameters={"binary_data_size": len(data) if size is None else size}, data=None)
    header = json.dumps({"inputs": [tensor]}).encode()
    return Request(INFER, header + data, {HEADER_LENGTH: str(len(header)) if length is None else length})


ELEMENT = struct.pack("<I", 1) + b"a"


@pytest.mark.parametrize(
    ("request_sent", "status"),
    [
        (binary(ELEMENT), 422),
        (binary(ELEMENT, length="soon"), 400),
        (binary(ELEMENT, length="-1"), 400),
        (binary(ELEMENT, length="99999"), 400),
        (binary(ELEMENT, length="9" * 5000), 400),
        (binary(ELEMENT, length="7"), 400),
        (binary(ELEMENT, size=4), 400),
        (binary(ELEMENT, size=6), 400),
        (binary(ELEMENT, size=-1), 400),
        (binary(ELEMENT + b"tail", size=5), 400),
        (binary(ELEMENT + ELEMENT), 400),
        (binary(struct.pack("<I", 2) + b"a"), 400),
        (binary(struct.pack("<I", 0xFFFFFFFF) + b"a"), 400),
        (binary(b"\x01"), 400),
        (Request(INFER, b"", {HEADER_LENGTH: "0"}), 400),
        (Request(INFER, b"", {"Content-Type": OCTETS, HEADER_LENGTH: "0"}), 400),
        (Request(INFER, b"no image", {"Content-Type": OCTETS, HEADER_LENGTH: "0"}), 422),
        (Request(INFER, b"", JSON), 400),
        (Request(INFER, b"{", JSON), 400),
        (Request(INFER, b"x", {"Content-Type": "text/plain"}), 415),
        (Request(INFER, b"x", {"Content-Type": "image/jpeg"}), 415),
    ],
)
def test_a_wrong_binary_request_gets_its_status_and_a_message(
    service: Any, request_sent: Request, status: int
) -> None:
    check_refusal(service.send(request_sent), status)
