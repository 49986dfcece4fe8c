"""What must come back: a struct for each comparator, as request sets and drivers' plans hold it.

They are msgspec's structs, because a manifest has any of them and says by `compare` which it is.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

Number = bool | int | float
Element = bool | int | float | str

Datatype = Annotated[
    str,
    Meta(pattern="^(BOOL|UINT8|UINT16|UINT32|UINT64|INT8|INT16|INT32|INT64|FP16|FP32|FP64|BYTES)$"),
]
Shape = Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(description="The batch's dimension first.")]
Distance = Annotated[float, Meta(ge=0)]

USUAL_RTOL, USUAL_ATOL = 1e-3, 1e-4


class ExpectedTensor(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tensor of a right answer: its elements flat, row-major; BYTES as text.

    Without an `atol` of its own, that of all its tensors holds.
    """

    name: Annotated[str, Meta(min_length=1)]
    datatype: Datatype
    shape: Shape
    data: tuple[Element, ...]
    atol: Distance | None = None


class LabelExpectation(
    Struct, frozen=True, tag_field="compare", tag="label", forbid_unknown_fields=True, omit_defaults=True
):
    """The label, and the probability of each class within an absolute tolerance.

    Without a tolerance of its own, the strategy's or the run's holds. The classes stand in the model's order.
    `near` has the labels that are as right where an answer's own probabilities make them the likeliest, since
    a difference that is tolerated can. `truth` is the class that the request really shows, whatever the
    reference answers: accuracy is judged by it, and no answer is compared with it.
    Logits are for those who make models; an answer is not compared with them.
    """

    label: Annotated[str, Meta(min_length=1)]
    probabilities: Annotated[dict[str, float], Meta(min_length=1)]
    tolerance: Distance | None = None
    logits: tuple[float, ...] | None = None
    near: tuple[str, ...] = ()
    truth: str | None = None


class TensorsExpectation(Struct, frozen=True, tag_field="compare", tag="tensors", forbid_unknown_fields=True):
    """These outputs, each element of floats within `atol + rtol * |expected|`, and all others exactly.

    Outputs that are not named are not compared.
    """

    tensors: Annotated[tuple[ExpectedTensor, ...], Meta(min_length=1)]
    rtol: Distance = USUAL_RTOL
    atol: Distance = USUAL_ATOL


class JsonExpectation(
    Struct, frozen=True, tag_field="compare", tag="json", forbid_unknown_fields=True, omit_defaults=True
):
    """This JSON value. A number at a path of `tolerances` may be so far off; paths of `ignore` do not count.

    Paths are JSON pointers, in which `*` stands for any key or index.
    """

    value: Any
    tolerances: dict[str, Distance] = {}
    ignore: tuple[str, ...] = ()


class BytesExpectation(
    Struct, frozen=True, tag_field="compare", tag="bytes", forbid_unknown_fields=True, omit_defaults=True
):
    """Exactly these bytes: as text in UTF-8, in base64, or known by their SHA-256; one of the three.

    `length` is how many bytes a digest is of: the driver's ceiling is measured with an answer as long.
    """

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None
    text: str | None = None
    base64: str | None = None
    length: Annotated[int, Meta(ge=0)] | None = None


class TopKExpectation(
    Struct, frozen=True, tag_field="compare", tag="top-k", forbid_unknown_fields=True, omit_defaults=True
):
    """The `k` most probable classes are these, in any order."""

    k: Annotated[int, Meta(ge=1)]
    labels: Annotated[tuple[str, ...], Meta(min_length=1)]


class NoExpectation(
    Struct, frozen=True, tag_field="compare", tag="unchecked", forbid_unknown_fields=True, omit_defaults=True
):
    """Any answer with a status of 2xx: nothing says that it is right, and every report says so."""


Expectation = (
    LabelExpectation
    | TensorsExpectation
    | JsonExpectation
    | BytesExpectation
    | TopKExpectation
    | NoExpectation
)
