"""The model that an address names, in the paths of the open inference protocol."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

MODEL_PATH = re.compile(r"(/v2/models/([^/?]+)(?:/versions/([^/?]+))?)(?:/infer)?/?")


@dataclass(frozen=True, slots=True)
class ModelPath:
    """The model's own path as it is written, its name as people write it, and its version, empty if none.

    `query` stands behind the path, with its question mark, empty if there is none. `infers` says whether the
    address is the path that inputs are sent to, and not the model's own.
    """

    own: str
    model: str
    version: str
    query: str
    infers: bool


def model_path(target: str) -> ModelPath | None:
    """What the path of an address names, which may have a query; None if it names no model."""
    path, sign, query = target.partition("?")
    found = MODEL_PATH.fullmatch(path)
    if found is None:
        return None
    infers = path.rstrip("/").endswith("/infer")
    return ModelPath(found[1], unquote(found[2]), unquote(found[3] or ""), sign + query, infers)


def path_of(model: str) -> str:
    """The path at which a service states the model of this name."""
    return f"/v2/models/{quote(model, safe='')}"
