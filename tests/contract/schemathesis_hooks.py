"""What schemathesis cannot know of a contract: what an image is, msgpack, how a tensor's parts agree."""

import io
from base64 import b64encode
from typing import Any

import msgpack
import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis import Case, GenerationMode, HookContext, SerializationContext
from schemathesis.openapi import format as add_format
from schemathesis.openapi import media_type
from schemathesis.transport.serialization import Binary

DEADLINE = "X-Request-Timeout-Ms"
LONGEST_MS = 3_600_000
LENGTH = "Inference-Header-Content-Length"
KINDS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}


def _image(kind: str, width: int, height: int, grey: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (grey, 255 - grey, grey // 2)).save(buffer, kind)
    return buffer.getvalue()


def _images(*kinds: str) -> st.SearchStrategy[bytes]:
    sizes = st.integers(1, 40)
    return st.builds(_image, st.sampled_from(kinds), sizes, sizes, st.integers(0, 255))


ANY = _images(*KINDS.values())
for name, kind in KINDS.items():
    media_type(name, _images(kind))
media_type("application/octet-stream", ANY)
add_format("byte", ANY.map(lambda image: b64encode(image).decode()))
add_format("binary", ANY)


@schemathesis.serializer("application/msgpack")
def _pack(context: SerializationContext, value: Any) -> bytes:
    """Pack; to a schema bytes are any string, so what stands for an image in a valid case becomes one."""
    if isinstance(value, dict) and isinstance(value.get("image"), str) and _is_valid(context.case):
        value = {**value, "image": _image("PNG", 3, 5, 7)}
    packed: bytes = msgpack.packb(_packable(value))
    return packed


def _packable(value: Any) -> Any:
    if isinstance(value, Binary):
        return value.data
    if isinstance(value, dict):
        return {str(name): _packable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_packable(inner) for inner in value]
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return float(value % (1 << 63))  # msgpack has no longer integers
    return value


def _is_valid(case: Case[Any]) -> bool:
    return case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE


@schemathesis.deserializer("application/msgpack")
def _unpack(_: Any, response: schemathesis.Response) -> Any:
    return msgpack.unpackb(response.content)


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], **__: Any) -> None:
    """Make valid cases true to what a schema cannot say of them, and give all the time they need."""
    headers = case.headers
    if (
        headers is not None
        and str(headers.get(DEADLINE)).isdecimal()
        and int(headers[DEADLINE]) <= LONGEST_MS
    ):
        headers[DEADLINE] = str(LONGEST_MS)
    if not (case.path.endswith("/infer") and _is_valid(case)):
        return
    if headers is not None:
        headers.pop(LENGTH, None)
    if isinstance(case.body, dict):
        _agree(case.body)
    else:  # the input itself
        case.headers[LENGTH] = "0"


def _agree(request: dict[str, Any]) -> None:
    """Give each tensor the data that its shape declares, in JSON, and ask for each output once."""
    for tensor in request["inputs"]:
        tensor["shape"] = [int(size) for size in tensor["shape"]]  # to a schema 1.0 is an integer
        count = tensor["shape"][0]
        tensor["parameters"] = {"content_type": "base64"}
        tensor["data"] = [b64encode(_image("PNG", 1 + index, 9, 7)).decode() for index in range(count)]
    if "outputs" in request:
        request["outputs"] = [*{output["name"]: output for output in request["outputs"]}.values()]
