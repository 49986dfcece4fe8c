"""A request set as values: what is sent, with every file read, and what must come back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bench.model.expectations import Expectation, NoExpectation
from bench.request_sets.manifest import USUAL_CLASS

AS_IS = "as-is"
BYTES = "BYTES"
DTYPES: dict[str, "np.dtype[np.generic]"] = {
    "BOOL": np.dtype("bool"),
    **{name.upper(): np.dtype(name) for name in ("uint8", "uint16", "uint32", "uint64")},
    **{name.upper(): np.dtype(name) for name in ("int8", "int16", "int32", "int64")},
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""The datatypes of the Open Inference Protocol, as their bytes lie in a request; BYTES has none."""

# every service must take these; any other file goes as application/octet-stream
CONTENT_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
# what may stand after a picture's end, where no decoder reads
PICTURES = (*CONTENT_TYPES, "bmp", "gif")
OCTETS, TEXT = "application/octet-stream", "text/plain"


@dataclass(frozen=True, slots=True)
class InputTensor:
    """One input with the batch's dimension first: numbers as an array of its shape, BYTES as their elements.

    `text` says that its BYTES are text in UTF-8; `suffix` is that of the file that they came from, in small
    letters, empty if they stood in the manifest.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: NDArray[np.generic] | tuple[bytes, ...]
    text: bool = False
    suffix: str = ""

    @property
    def content_type(self) -> str:
        """The media type of an element of BYTES that is a body by itself."""
        return TEXT if self.text else CONTENT_TYPES.get(self.suffix, OCTETS)


@dataclass(frozen=True, slots=True)
class WholeBody:
    """A body that is sent as it is."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class SetRequest:
    """One request of a set; `path` is None where the strategy's, or the encoding's, is taken."""

    name: str
    body: WholeBody | tuple[InputTensor, ...]
    expect: Expectation
    request_class: str = USUAL_CLASS
    weight: float = 1.0
    path: str | None = None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def only_bytes(self) -> InputTensor | None:
        """Its input, if that is a single element of BYTES and there is no other; else None."""
        if isinstance(self.body, WholeBody) or len(self.body) != 1:
            return None
        (tensor,) = self.body
        return tensor if tensor.datatype == BYTES and len(tensor.data) == 1 else None

    @property
    def picture(self) -> bytes | None:
        """The picture that is its only input; None if it has another."""
        only = self.only_bytes
        return bytes(only.data[0]) if only is not None and only.suffix in PICTURES else None

    def with_picture(self, content: bytes) -> "SetRequest":
        """The same request with another picture in the place of its only input."""
        (tensor,) = self.body if not isinstance(self.body, WholeBody) else ()
        return replace(self, body=(replace(tensor, data=(content,)),))


@dataclass(frozen=True, slots=True)
class RequestSet:
    """A set of requests; `classes` are those that are timed unless somebody names others."""

    requests: tuple[SetRequest, ...]
    classes: tuple[str, ...]
    title: str = ""

    def of_class(self, name: str) -> tuple[SetRequest, ...]:
        """The requests of one class, in their order."""
        return tuple(one for one in self.requests if one.request_class == name)


def classes_of(requests: Iterable[SetRequest]) -> tuple[str, ...]:
    """The classes of these requests, each once, in their order."""
    return tuple(dict.fromkeys(one.request_class for one in requests))


def unchecked(requests: Iterable[SetRequest]) -> int:
    """How many of these requests have answers that nothing checks."""
    return sum(isinstance(one.expect, NoExpectation) for one in requests)
