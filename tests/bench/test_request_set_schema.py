"""The committed JSON Schema of request sets: it says what the structs of the reader say."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import ValidationError, json

from bench.errors import UsageError
from bench.request_sets.manifest import SetManifest, manifest_to_json, schema_text
from bench.request_sets.reader import read_set_text

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "bench" / "request_sets" / "request_set.schema.json"
VALIDATOR = jsonschema_rs.Draft202012Validator(orjson.loads(SCHEMA.read_bytes()))

LABEL = {"compare": "label", "label": "rime", "probabilities": {"rime": 0.9, "dew": 0.1}, "logits": [1, 2]}
TOKENS = {"name": "tokens", "datatype": "INT64", "shape": [1, 2], "data": [1, 2]}
OUTPUT = {"name": "out", "datatype": "FP32", "shape": [1, 1], "data": [0.5]}
REQUESTS: list[dict[str, Any]] = [
    {"name": "a.jpg", "class": "seed", "weight": 2, "file": "a.jpg", "expect": LABEL},
    {"name": "b", "json": {"any": ["thing", None]}, "path": "/x", "expect": {"compare": "unchecked"}},
    {"name": "c", "tensors": [TOKENS], "expect": {"compare": "tensors", "tensors": [OUTPUT], "atol": 0}},
    {
        "name": "d",
        "tensors": [{"name": "image", "datatype": "BYTES", "shape": [1], "file": "a.jpg"}],
        "expect": {"compare": "top-k", "k": 1, "labels": ["rime"]},
    },
    {"name": "e", "json": 1, "expect": {"compare": "json", "value": [1], "tolerances": {"/*": 0.1}}},
    {"name": "f", "json": None, "expect": {"compare": "bytes", "text": "ok"}, "headers": {"X-A": "b"}},
]


def manifest(*requests: dict[str, Any]) -> bytes:
    return orjson.dumps({"schema_version": 2, "requests": requests})


def test_the_committed_schema_is_what_the_structs_say() -> None:
    assert SCHEMA.read_bytes() == schema_text(), "run python -m bench.request_sets.manifest"


def test_every_kind_of_request_is_taken_by_schema_and_structs_and_written_again() -> None:
    text = manifest(*REQUESTS)
    VALIDATOR.validate(orjson.loads(text))
    read = json.decode(text, type=SetManifest)
    again = manifest_to_json(read)
    VALIDATOR.validate(orjson.loads(again))
    assert json.decode(again, type=SetManifest) == read


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 0},
        {"class": "a/b"},
        {"path": "x"},
        {"expect": {"compare": "guess"}},
        {"expect": {"compare": "top-k", "k": 0, "labels": ["a"]}},
        {"tensors": [{**TOKENS, "datatype": "INT128"}]},
        {"extra": 1},
    ],
)
def test_what_is_wrong_is_refused_by_schema_and_structs(change: dict[str, Any]) -> None:
    text = manifest({**REQUESTS[2], **change})
    with pytest.raises(jsonschema_rs.ValidationError):
        VALIDATOR.validate(orjson.loads(text))
    with pytest.raises(ValidationError):
        json.decode(text, type=SetManifest)


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 1e-7},
        {"weight": 2e6},
        {"class": "a" * 65},
        {"name": "a" * 121},
        {"path": "/" + "a" * 1024},
        {"headers": {"a b": "x"}},
        {"headers": {"a": "x\r\ny"}},
    ],
)
def test_what_is_beyond_a_bound_is_refused_by_schema_and_reader(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    text = manifest({**REQUESTS[2], **change})
    assert not VALIDATOR.is_valid(orjson.loads(text))
    with pytest.raises(UsageError):
        read_set_text(tmp_path, text)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(max_size=5),
    st.sampled_from(["a.jpg", "FP32", "BYTES", "tensors", "json", "label", "/", "/a", "POST", "one"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of a value and of all that is in it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in inner for found in nodes(one, (*path, key)))]


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_the_reader_takes_the_schema_takes(tmp_path: Path, data: st.DataObject) -> None:
    """Of sets in which anything is replaced by anything, or gone."""
    changed = orjson.loads(manifest(*REQUESTS))
    for _ in range(data.draw(st.integers(1, 2))):
        *before, last = data.draw(st.sampled_from(nodes(changed)[1:]))
        holder = changed
        for key in before:
            holder = holder[key]
        if data.draw(st.booleans()):
            holder[last] = data.draw(values)
        else:
            del holder[last]
    (tmp_path / "a.jpg").write_bytes(b"x")
    try:
        read_set_text(tmp_path, orjson.dumps(changed))
    except UsageError:
        return
    VALIDATOR.validate(changed)


def test_a_request_has_exactly_one_body() -> None:
    for change in ({"file": "x"}, {"json": None}):
        assert not VALIDATOR.is_valid(orjson.loads(manifest({**REQUESTS[2], **change})))
    bare = {key: value for key, value in REQUESTS[1].items() if key != "json"}
    assert not VALIDATOR.is_valid(orjson.loads(manifest(bare)))
