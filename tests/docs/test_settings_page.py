"""The page of settings is the settings' own, and no wrong value of any of them is taken."""

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
from serving_core.process.listener import listen
from serving_core.settings import Settings, handler_names, load_settings, model_addresses


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
    "pushgateway": ["gateway:9091", "ftp://gateway:9091", "http://gate way"],
    "log_level": ["loud", "INFO"],
}
# texts that anything may stand in: a wrong one is found where it is used, the next step of a start
NEXT_STEPS: dict[str, tuple[str, Callable[[Settings], object]]] = {
    "model_uri": ("a=gs://x/y,b", model_addresses),
    "handler": ("a=b:C,nothing", handler_names),
    "host": ("no.such.host.invalid", lambda given: listen(given.host, given.port)),
    "model_cache_dir": ("/dev/null/cache", pull_given),
}
FREE_TEXT = {"service", *NEXT_STEPS}


@pytest.mark.parametrize("name", NEXT_STEPS)
def test_a_wrong_text_stops_the_start_with_one_line_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, step = NEXT_STEPS[name]
    monkeypatch.setenv(VARIABLE, "gs://models/weather/weights.safetensors")
    monkeypatch.setenv(VARIABLE if name == "model_uri" else name.upper(), value)
    given = load_settings("torch", VARIABLE)
    with pytest.raises(StartError) as caught:
        step(given)
    text = str(caught.value)
    assert "\n" not in text
    assert any(part in text for part in (value, value.rpartition(",")[2]))


def page_check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, TOOL, "--check"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)


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
    subprocess.run([sys.executable, TOOL], cwd=tmp_path, check=True, timeout=60)
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
    assert text.startswith(f"wrong setting: {name.upper()}={value!r}: ")
    assert "\n" not in text
