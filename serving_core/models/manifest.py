"""The manifest: a model's name, its labels and how its images are prepared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from serving_core.errors import StartError

# names and versions are parts of paths
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
DIGEST = r"^[0-9a-f]{64}$"
FORMS = {NAME: "letters, digits, '.', '_' and '-', a letter or digit first", DIGEST: "64 hexadecimal digits"}
Channel = Annotated[float, Field(allow_inf_nan=False)]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class ServedTransform:
    """The reference transform: sizes in pixels, and statistics for each channel on a scale of 0 to 1."""

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


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
    """The further fields of an image classifier's manifest."""

    architecture: str
    labels: tuple[str, ...]
    transform: ServedTransform
    logit_tolerance: float


class _Transform(BaseModel):
    resize: int = Field(ge=1, le=4096)
    crop: int = Field(ge=1, le=4096)
    interpolation: Literal["bilinear"]
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

    architecture: str = Field(min_length=1)
    labels: tuple[str, ...] = Field(min_length=2)
    transform: _Transform
    logit_tolerance: float = Field(default=0.05, gt=0)

    @model_validator(mode="after")
    def _labels_differ(self) -> "_Classifier":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from one another")
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
    transform = ServedTransform(given.resize, given.crop, given.mean, given.std)
    return Classifier(read.architecture, read.labels, transform, read.logit_tolerance)


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
