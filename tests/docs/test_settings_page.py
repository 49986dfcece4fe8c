"""The page of settings is the settings' own, and no wrong value of any of them is taken."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from serving_core.errors import StartError
from serving_core.models.sources import Object
from serving_core.models.store import pull
from serving_core.process.sockets import listen
from serving_core.settings import Settings, load_settings, manifest_addresses, model_addresses


def pull_given(given: Settings) -> object:
    """Pull from a store that describes what is asked for and sends nothing."""
    answer = Object("1", 1, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving_core.models.store.open_source", lambda *_: Described(answer))
        return pull(given.model_uri, given.model_cache_dir, 5)


@dataclass(frozen=True)
class Described:
    answer: Object

    def describe(self) -> Object:
        return self.answer

    def download(self, found: Object, file: BinaryIO) -> None:
        raise AssertionError(f"there is nowhere to keep {found} in {file}")

    def close(self) -> None:
        """Nothing is open."""


ROOT = Path(__file__).parents[2]
VARIABLE = "TORCH_MODEL_URI"
TOOL = "tools/settings_table.py"
# values of every text that has a form
WRONG_TEXT = {
    "local_store": ["models", "models=ftp://store:1", "models=http://store:1/folder"],
    "pushgateway": ["gateway:9091", "ftp://gateway:9091", "http://gate way", "http://gateway:port"],
    "log_level": ["loud", "INFO"],
    "device": ["gpu", "CUDA"],
    "pixels": ["numpy", "Pillow"],
    "engine": ["onnx", "OpenVINO"],
    "precision": ["int8", "BF16"],
    "compute": ["jit", "AOT"],
}
# texts that anything may stand in: a wrong one is found where it is used, the next step of a start
NEXT_STEPS: dict[str, tuple[str, Callable[[Settings], object]]] = {
    "host": ("no.such.host.invalid", lambda given: listen(given.host, given.port)),
    "model_cache_dir": ("/dev/null/cache", pull_given),
}
# texts that are one or several: value, and what is said of it
SEVERAL = {
    "model_uri": [
        ("gs://x/y,b=gs://z/w", "'gs://x/y': write name=gs://bucket/folder/file"),
        ("a=gs://x/y,a=gs://z/w", "names 'a' twice"),
        ("w=/models/x", "write w=file:///models/x"),
        ("/models/x", "write file:///models/x"),
    ],
    "manifest_uri": [
        ("a=gs://x/y,a=gs://z/w", "names 'a' twice"),
        ("/models/model.json", "write file:///models/model.json"),
        ("a=gs://x/y", "names 'a': use its models' names"),
    ],
    "handler": [("a=b:C,nothing", "'nothing': write name=package.module:Class")],
}
FREE_TEXT = {"service", "model_uri_variable", *NEXT_STEPS, *SEVERAL}
NAMES = {name.upper() for name in Settings.model_fields} | {VARIABLE}
# addresses that hold what nobody else may see, right and wrong
SECRETS = [
    ("pushgateway", "ftp://someone:s3cret@gateway:9091"),
    ("pushgateway", "http://some one:s3cret@gateway"),
    ("pushgateway", "http://gateway/?token=s3cret"),
    ("pushgateway", "someone:s3cret@gateway"),
    ("local_store", "models=http://someone:s3cret@store:1"),
    ("model_uri", "https://host/x?sign=s3cret,b=gs://x/y"),
    ("model_uri", "https://someone:s3cret@host/x,b=gs://x/y"),
    ("manifest_uri", "https://host/x?sign=s3cret,b=gs://x/y"),
]


@pytest.mark.parametrize("name", NEXT_STEPS)
def test_a_wrong_text_stops_the_start_with_one_line_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, step = NEXT_STEPS[name]
    monkeypatch.setenv(VARIABLE, "gs://models/weather/weights.safetensors")
    monkeypatch.setenv(name.upper(), value)
    given = load_settings("torch", VARIABLE)
    with pytest.raises(StartError) as caught:
        step(given)
    text = str(caught.value)
    assert "\n" not in text
    assert value in text
    assert name.upper() in text


@pytest.mark.parametrize(
    ("name", "value", "says"), [(name, *case) for name in SEVERAL for case in SEVERAL[name]]
)
def test_a_wrong_one_of_several_is_named(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = VARIABLE if name == "model_uri" else name.upper()
    monkeypatch.setenv(VARIABLE, "gs://models/weather/weights.safetensors")
    monkeypatch.setenv(variable, value)
    with pytest.raises(StartError) as caught:
        load_settings("torch", VARIABLE)
    assert str(caught.value).startswith(f"{variable} ")
    assert says in str(caught.value)


@pytest.mark.parametrize(("name", "value"), SECRETS)
def test_what_is_secret_in_a_wrong_address_is_not_shown(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "gs://models/weather/weights.safetensors")
    monkeypatch.setenv(VARIABLE if name == "model_uri" else name.upper(), value)
    with pytest.raises(StartError) as caught:
        load_settings("torch", VARIABLE)
    assert not re.search("s3cret|someone|some one", str(caught.value))


def test_a_signed_address_keeps_its_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = "https://host/a,b?headers=host,date&key=1,2"
    for text, addresses in (
        (signed, {None: signed}),
        (f"a={signed}, b=gs://x/y", {"a": signed, "b": "gs://x/y"}),
    ):
        monkeypatch.setenv(VARIABLE, text)
        assert model_addresses(load_settings("torch", VARIABLE)) == addresses


def test_a_manifest_has_an_address_of_its_own_for_one_model_or_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MANIFEST_URI", "https://host/m?sign=1,2")
    for models, found in (("gs://x/y", {None}), ("a=gs://x/y", {"a"})):
        monkeypatch.setenv(VARIABLE, models)
        given = manifest_addresses(load_settings("torch", VARIABLE))
        assert given == dict.fromkeys(found, "https://host/m?sign=1,2")
    monkeypatch.setenv(VARIABLE, "a=gs://x/y,b=gs://x/z")
    with pytest.raises(StartError, match="MANIFEST_URI is one address for several models: write"):
        load_settings("torch", VARIABLE)
    monkeypatch.setenv("MANIFEST_URI", "b=gs://x/m")
    assert manifest_addresses(load_settings("torch", VARIABLE)) == {"b": "gs://x/m"}


def page_check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, TOOL, "--check"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)


def wrong_values() -> list[tuple[str, str]]:
    """Every setting with each kind of value that is out of its bounds."""
    found: list[tuple[str, str]] = []
    for name, field in Settings.model_json_schema()["properties"].items():
        found += [(name, text) for text in WRONG_TEXT.get(name, [])]
        found += [(name, value) for value in wrong_numbers(field)]
    return found


def wrong_numbers(field: dict[str, Any]) -> list[str]:
    kind = field.get("type")
    if kind not in {"integer", "number"}:
        return []
    values = ["many", "1 2", "nan"]
    values += ["1.5"] if kind == "integer" else []
    values += [str(field["minimum"] - 1)] if "minimum" in field else []
    values += [str(field["exclusiveMinimum"])] if "exclusiveMinimum" in field else []
    values += [str(field["maximum"] + 1), "inf"] if "maximum" in field else []
    return values


def test_the_page_is_up_to_date() -> None:
    made = page_check(ROOT)
    assert made.returncode == 0, made.stderr


def test_the_check_sees_a_page_that_is_not(tmp_path: Path) -> None:
    for name in ("tools", "serving_core"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    page = tmp_path / "docs" / "settings.md"
    page.parent.mkdir()
    text = (ROOT / "docs" / "settings.md").read_text()
    page.write_text(text.replace("8080", "8081"))
    made = page_check(tmp_path)
    assert (made.returncode, made.stderr.count("\n")) == (1, 1)
    subprocess.run([sys.executable, TOOL], cwd=tmp_path, check=True, timeout=120)
    assert page.read_text() == text
    assert page_check(tmp_path).returncode == 0


def test_every_setting_is_tried_with_wrong_values() -> None:
    assert {name for name, _ in wrong_values()} == Settings.model_fields.keys() - FREE_TEXT


@pytest.mark.parametrize(("name", "value"), wrong_values())
def test_a_wrong_value_stops_the_start_with_one_line_that_names_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "gs://models/weather/weights.safetensors")
    load_settings("torch", VARIABLE)
    monkeypatch.setenv(name.upper(), value)
    with pytest.raises(StartError) as caught:
        load_settings("torch", VARIABLE)
    text = str(caught.value)
    given, _, says = text.partition(": ")[2].partition(": ")
    assert given == f"{name.upper()}={value!r}"
    assert "\n" not in text
    assert not set(re.findall(r"\w+", says)) & NAMES
    assert not re.search("pydantic|pattern|factory", says, re.IGNORECASE)
