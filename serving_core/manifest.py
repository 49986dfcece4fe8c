"""The manifest: what a model is called, which labels it has and how its images are prepared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from serving_core.errors import StartError

Channel = Annotated[float, Field(allow_inf_nan=False)]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Transform:
    """The reference transform's sizes in pixels and its per-channel statistics on a 0..1 scale."""

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A model's manifest; `sha256` maps the name of each listed file to its hexadecimal digest."""

    name: str
    architecture: str
    labels: tuple[str, ...]
    transform: Transform
    logit_tolerance: float
    sha256: Mapping[str, str]


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
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1)
    architecture: str = Field(min_length=1)
    labels: tuple[str, ...] = Field(min_length=2)
    transform: _Transform
    logit_tolerance: float = Field(default=0.05, gt=0)
    files: dict[str, _File] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _labels_differ(self) -> "_Manifest":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from one another")
        return self


def read_manifest(text: bytes, source: str) -> Manifest:
    """Read a manifest's JSON; raises StartError naming `source` and each wrong field."""
    try:
        parsed: Any = orjson.loads(text)
        read = _Manifest.model_validate(parsed)
    except orjson.JSONDecodeError as error:
        raise StartError(f"{source} is not JSON ({error}): publish the model again") from None
    except ValidationError as error:
        faults = [
            ".".join(str(part) for part in fault["loc"]) + ": " + fault["msg"].lower()
            for fault in error.errors()
        ]
        raise StartError(
            f"{source} is not a manifest ({'; '.join(faults)}): publish the model again"
        ) from None
    transform = Transform(read.transform.resize, read.transform.crop, read.transform.mean, read.transform.std)
    digests = {name: entry.sha256 for name, entry in read.files.items()}
    return Manifest(read.name, read.architecture, read.labels, transform, read.logit_tolerance, digests)
