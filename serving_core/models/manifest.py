"""The manifest: a model's name, its kind, and what that kind must say of itself."""

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from serving_core.errors import StartError
from serving_core.tensors import BYTES, NUMERIC, TensorSpec

# names and versions are parts of paths
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
DIGEST = r"^[0-9a-f]{64}$"
FORMS = {NAME: "letters, digits, '.', '_' and '-', a letter or digit first", DIGEST: "64 hexadecimal digits"}
Channel = Annotated[float, Field(allow_inf_nan=False)]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Kind = Literal["image", "tensors"]
KINDS: tuple[Kind, ...] = ("image", "tensors")
# "any": the first axis of every input and output varies, and is the batch; "one": that axis is there and is
# always 1; "none": there is no such axis.
Batch = Literal["any", "one", "none"]
Interpolation = Literal["bilinear", "bicubic"]
# of an example whose size the model does not fix
MOST_EXAMPLE_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class ServedTransform:
    """The reference transform: sizes in pixels, and statistics for each channel on a scale of 0 to 1."""

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation = "bilinear"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The document that is published beside any model's file.

    `version` is None if the model has no version; `sha256` maps the name of each listed file to its
    hexadecimal digest; `fields` is the whole document, for handlers that need more; `source` is the address
    from which it was read.
    """

    name: str
    version: str | None
    sha256: Mapping[str, str]
    fields: Mapping[str, Any]
    source: str


@dataclass(frozen=True, slots=True)
class Classifier:
    """The further fields of an image classifier's manifest.

    `architecture` is the "package.module:factory" of weights, None if the model needs none; `softmax` says
    that the network itself gives probabilities.
    """

    architecture: str | None
    labels: tuple[str, ...]
    transform: ServedTransform
    logit_tolerance: float
    softmax: bool


@dataclass(frozen=True, slots=True)
class StatedExample:
    """What a manifest says of one input of an item that the model computes.

    That is a text; or a shape, with its elements in little-endian `data`, or else with the least and the most
    of them.
    """

    shape: tuple[int, ...] = ()
    text: str | None = None
    data: bytes | None = None
    least: float = 0
    most: float = 1


@dataclass(frozen=True, slots=True)
class Tensors:
    """The further fields of a manifest of kind "tensors": one item's inputs and outputs, and the batch.

    `example` has an entry for each input; it is empty if the manifest has none.
    """

    architecture: str | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batch: Batch
    example: Mapping[str, StatedExample]


class _Transform(BaseModel):
    resize: int = Field(ge=1, le=4096)
    crop: int = Field(ge=1, le=4096)
    interpolation: Interpolation
    antialias: Literal[True]
    mean: tuple[Channel, Channel, Channel]
    std: tuple[Deviation, Deviation, Deviation]

    @model_validator(mode="after")
    def _crop_fits(self) -> "_Transform":
        if self.crop > self.resize:
            raise ValueError(f"crop {self.crop} is larger than resize {self.resize}")
        return self


class _File(BaseModel):
    sha256: str = Field(pattern=DIGEST)


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = Field(pattern=NAME)
    version: str | None = Field(default=None, pattern=NAME)
    files: dict[str, _File] = Field(default_factory=dict)


class _Classifier(BaseModel):
    model_config = ConfigDict(extra="ignore")

    architecture: str | None = Field(default=None, min_length=1)
    labels: tuple[str, ...] = Field(min_length=2)
    transform: _Transform
    logit_tolerance: float = Field(default=0.05, gt=0)
    softmax: bool = False

    @model_validator(mode="after")
    def _labels_differ(self) -> "_Classifier":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from one another")
        return self


class _Tensor(BaseModel):
    name: str = Field(min_length=1)
    datatype: str
    shape: tuple[Annotated[int, Field(ge=-1)], ...]

    @model_validator(mode="after")
    def _is_a_tensor(self) -> "_Tensor":
        self.spec()
        return self

    def spec(self) -> TensorSpec:
        """Return the tensor as the protocol has it; the strings of a graph are text."""
        return TensorSpec(self.name, self.datatype, self.shape, text=self.datatype == BYTES)


class _Example(BaseModel):
    shape: tuple[Annotated[int, Field(ge=0)], ...] = ()
    text: str | None = None
    data: bytes | None = None
    least: int | float = 0
    most: int | float = 1

    @field_validator("data", mode="before")
    @classmethod
    def _from_base64(cls, sent: Any) -> Any:
        return base64.b64decode(sent, validate=True) if isinstance(sent, str) else sent

    def of(self, spec: TensorSpec) -> StatedExample:
        """Return the example of an input; raises ValueError if it is no value of it."""
        if (spec.datatype == BYTES) != (self.text is not None):
            raise ValueError(f"example: {spec.name} is {spec.datatype}, and its example is not")
        fits = len(self.shape) == len(spec.shape) and all(
            known in {-1, size} for known, size in zip(spec.shape, self.shape, strict=True)
        )
        if not fits:
            raise ValueError(f"example: {spec.name} has shape {[*spec.shape]}, its example {[*self.shape]}")
        if spec.datatype != BYTES:
            self._check_elements(spec)
        return StatedExample(self.shape, self.text, self.data, self.least, self.most)

    def _check_elements(self, spec: TensorSpec) -> None:
        size_bytes = math.prod(self.shape) * NUMERIC[spec.datatype].itemsize
        if -1 in spec.shape and size_bytes > MOST_EXAMPLE_BYTES:
            raise ValueError(f"example: {spec.name} has more than {MOST_EXAMPLE_BYTES} bytes")
        if self.data is not None and len(self.data) != size_bytes:
            raise ValueError(f"example: {spec.name} has {len(self.data)} bytes, its shape {size_bytes}")
        low, high = _limits(NUMERIC[spec.datatype])
        if not low <= self.least <= self.most <= high:
            raise ValueError(f"example: {spec.name} is from {self.least} to {self.most}")


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    match dtype.kind:
        case "b":
            return 0, 1
        case "f":
            return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


class _Tensors(BaseModel):
    model_config = ConfigDict(extra="ignore")

    architecture: str | None = Field(default=None, min_length=1)
    inputs: tuple[_Tensor, ...] = Field(min_length=1)
    outputs: tuple[_Tensor, ...] = Field(min_length=1)
    batch: Batch
    example: dict[str, _Example] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_an_example(self) -> "_Tensors":
        self.examples()
        return self

    def examples(self) -> dict[str, StatedExample]:
        """Return the example of each input, {} if there is none; raises ValueError if they do not fit."""
        if not self.example:
            return {}
        names = [tensor.name for tensor in self.inputs]
        if self.example.keys() != set(names):
            raise ValueError(f"example: it has {[*self.example]}, the inputs are {names}")
        return {tensor.name: self.example[tensor.name].of(tensor.spec()) for tensor in self.inputs}

    @model_validator(mode="after")
    def _names_differ(self) -> "_Tensors":
        for which in (self.inputs, self.outputs):
            names = [tensor.name for tensor in which]
            if len(set(names)) != len(names):
                raise ValueError(f"{names} must differ from one another")
        return self


def read_manifest(text: bytes, source: str) -> Manifest:
    """Read a manifest's JSON; raises StartError that names `source` and each wrong field."""
    try:
        fields: Any = orjson.loads(text)
        read = _Manifest.model_validate(fields)
    except orjson.JSONDecodeError as error:
        raise StartError(f"{source} is not JSON ({error}): publish the model again") from None
    except ValidationError as error:
        raise _no_manifest(source, error) from None
    digests = {name: entry.sha256 for name, entry in read.files.items()}
    return Manifest(read.name, read.version, digests, fields, source)


def read_classifier(manifest: Manifest) -> Classifier:
    """Read the fields of an image classifier; raises StartError that names each wrong field."""
    try:
        read = _Classifier.model_validate(manifest.fields)
    except ValidationError as error:
        raise _no_manifest(manifest.source, error) from None
    given = read.transform
    transform = ServedTransform(given.resize, given.crop, given.mean, given.std, given.interpolation)
    return Classifier(read.architecture, read.labels, transform, read.logit_tolerance, read.softmax)


def read_tensors(manifest: Manifest) -> Tensors:
    """Read the fields of a model of kind "tensors"; raises StartError that names each wrong field."""
    try:
        read = _Tensors.model_validate(manifest.fields)
    except ValidationError as error:
        raise _no_manifest(manifest.source, error) from None
    inputs, outputs = (tuple(tensor.spec() for tensor in some) for some in (read.inputs, read.outputs))
    return Tensors(read.architecture, inputs, outputs, read.batch, read.examples())


def kind_of(manifest: Manifest) -> Kind:
    """Return the kind of a model that no handler of the user's serves; raises StartError if it has none.

    A manifest that names no kind but labels is an older one, of an image classifier.
    """
    given = manifest.fields.get("kind", "image" if "labels" in manifest.fields else None)
    for kind in KINDS:
        if given == kind:
            return kind
    wrong = "names no kind" if given is None else f"has the kind {given!r}"
    raise StartError(
        f"{manifest.source} {wrong}: publish the model with kind {' or '.join(map(repr, KINDS))}, "
        "or name the class that serves it in HANDLER"
    )


def _no_manifest(source: str, error: ValidationError) -> StartError:
    faults = [": ".join(filter(None, [_field(fault), _in_words(fault)])) for fault in error.errors()]
    return StartError(f"{source} is not this model's manifest ({'; '.join(faults)}): publish the model again")


def _field(fault: ErrorDetails) -> str:
    return ".".join(str(part) for part in fault["loc"])


def _in_words(fault: ErrorDetails) -> str:
    match fault["type"]:
        case "string_pattern_mismatch":
            return f"input should be {FORMS[fault['ctx']['pattern']]}"
        case "model_type":
            return "input should be an object"
        case "value_error":
            return str(fault["ctx"]["error"])
    return fault["msg"][:1].lower() + fault["msg"][1:]
