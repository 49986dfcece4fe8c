"""manifest.json of a request set, as it lies on disk.

`python -m bench.request_sets.manifest` prints its JSON Schema, which is committed beside this file. A set is
written with `manifest_to_json`, and read, with its files and with every check, by bench.request_sets.reader.
"""

from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import UNSET, Meta, Struct, UnsetType

from bench.model.expectations import Datatype, Element, Expectation, Shape
from bench.model.from_outside import MOST_LINE, MOST_NAME, MOST_PATH

SCHEMA_VERSION = 2
MANIFEST = "manifest.json"
USUAL_CLASS = "default"
DRAFT = "https://json-schema.org/draft/2020-12/schema"

EXACTLY_ONE = {
    "ManifestRequest": ("file", "json", "tensors"),
    "ManifestTensor": ("data", "file"),
    "BytesExpectation": ("sha256", "text", "base64"),
}

# bounds that the schema alone has here: the reader refuses what is beyond them in better words
LEAST_WEIGHT, MOST_WEIGHT = 1e-6, 1e6
Line = Annotated[
    str,
    Meta(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$", extra_json_schema={"maxLength": MOST_LINE}),
]
Path = Annotated[
    str,
    Meta(
        pattern=r"^/[\x21-\x7e]*$",
        description="Where it differs from the strategy's.",
        extra_json_schema={"maxLength": MOST_PATH},
    ),
]
Name = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", extra_json_schema={"maxLength": MOST_NAME})
]
Weight = Annotated[
    float,
    Meta(
        gt=0,
        description="How often beside the others of its class.",
        extra_json_schema={"minimum": LEAST_WEIGHT, "maximum": MOST_WEIGHT},
    ),
]
Headers = Annotated[
    dict[str, Annotated[str, Meta(extra_json_schema={"pattern": r"^[\x20-\x7e]*$"})]],
    Meta(extra_json_schema={"propertyNames": {"pattern": r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"}}),
]


class ManifestTensor(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One input, as the Open Inference Protocol has it: with the batch's dimension first, flat, row-major.

    Its elements are in `data` (BYTES as text) or in a file beside the manifest: numbers in an .npy file, the
    bytes of a single BYTES element as they are.
    """

    name: Line
    datatype: Datatype
    shape: Shape
    data: tuple[Element, ...] | UnsetType = UNSET
    file: Line | UnsetType = UNSET


class ManifestRequest(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
    rename={"request_class": "class", "json_body": "json"},
):
    """One request: what is sent (exactly one of file, json and tensors), how, and what must come back."""

    name: Annotated[Line, Meta(description="Unique in the set.")]
    expect: Expectation
    request_class: Annotated[Name, Meta(description="Loads, latencies and tables go by class.")] = USUAL_CLASS
    weight: Weight = 1.0
    file: Annotated[Line, Meta(description="A file beside the manifest, sent as it is.")] | UnsetType = UNSET
    json_body: Annotated[Any, Meta(description="This JSON, sent as it is.")] | UnsetType = UNSET
    tensors: Annotated[tuple[ManifestTensor, ...], Meta(min_length=1)] | UnsetType = UNSET
    content_type: Annotated[Line, Meta(description="Of a file or JSON.")] | None = None
    path: Path | None = None
    method: Literal["DELETE", "GET", "PATCH", "POST", "PUT"] = "POST"
    headers: Headers = {}


class SetManifest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A request set.

    `classes` are those that are timed unless --payloads names others; without them all are. The answers to
    all requests of the set are checked before anything is timed.
    """

    schema_version: Annotated[int, Meta(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)]
    title: Line | None = None
    classes: tuple[Name, ...] = ()
    requests: Annotated[tuple[ManifestRequest, ...], Meta(min_length=1)]


def manifest_to_json(manifest: SetManifest) -> bytes:
    """The manifest as text that people can read."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of manifest.json."""
    schema = msgspec.json.schema(SetManifest)
    for struct, fields in EXACTLY_ONE.items():
        # msgspec knows no fields of which exactly one must be there
        schema["$defs"][struct]["oneOf"] = [{"required": [one]} for one in fields]
    for definition in schema["$defs"].values():
        definition["description"] = " ".join(definition["description"].split())
    return {"$schema": DRAFT, "title": "request set", **schema}


def schema_text() -> bytes:
    """The text of request_set.schema.json."""
    return orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    print(schema_text().decode(), end="")
