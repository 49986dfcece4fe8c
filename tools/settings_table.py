"""Writes docs/settings.md from the types of the settings; with --check, says whether the page is current."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # a program's own folder comes first in the path

from serving_core.settings import Settings, form_of  # noqa: E402 - the path comes first

PAGE = ROOT / "docs" / "settings.md"
COMMAND = "python tools/settings_table.py"
# the page's names for variables that are not named after their field
VARIABLES = {"model_uri": "`TORCH_MODEL_URI`, `ONNX_MODEL_URI`"}
# defaults that depend on the machine
DEFAULTS = {
    "model_cache_dir": "`$XDG_CACHE_HOME/model-serving`, else `~/.cache/model-serving`",
    "threads": "the usable cores, 32 at most, divided by `WORKERS`",
    "max_batch": "16 times `THREADS`, 32 at least",
}
# fields that the environment does not set
INTERNAL = {"service", "model_uri_variable"}
# the forms that a later step of a start checks, if no pattern describes them
FORMS = {
    "model_uri": "an address or pairs",
    "handler": "a class or pairs",
    "model_cache_dir": "a folder",
    "host": "a name or an address",
}
INTRODUCTION = f"""# Settings

Every service reads these environment variables when it starts; an empty variable counts as not set. A value
that is out of bounds ends the start with exit status 1 and one line that names the variable.

For containers, write the variables into `service.env` beside `compose.yaml`, one `NAME=value` on each line:
all three services read this file. Compose itself sets `PORT`, `MODEL_CACHE_DIR` and `LOCAL_STORE`, whatever
the file says, and takes `TORCH_MODEL_URI` and `ONNX_MODEL_URI` from the environment or from `.env`. Compose
gives a stop 20 s: keep `GRACE_S` and `DRAIN_LINGER_S` well below that.

`QUEUE_LIMIT`, `QUEUE_BYTES` and `MAX_CONNECTIONS` hold for each process: with `WORKERS=4` a service accepts
four times as much.

This page is generated: `{COMMAND}` writes it,
`{COMMAND} --check` says whether it is up to date.

| variable | default | allowed | meaning |
| --- | --- | --- | --- |
"""


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; return the exit status."""
    if arguments not in ([], ["--check"]):
        print(f"usage: {COMMAND} [--check]", file=sys.stderr)
        return 2
    text = page()
    if not arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"docs/settings.md differs from the settings: run {COMMAND}", file=sys.stderr)
    return 1


def page() -> str:
    """Return the page's text."""
    schema = Settings.model_json_schema()["properties"]
    fields = {name: schema[name] for name in Settings.model_fields if name not in INTERNAL}
    return INTRODUCTION + "".join(_row(name, field) for name, field in fields.items())


def _row(name: str, field: dict[str, Any]) -> str:
    variable = VARIABLES.get(name, f"`{name.upper()}`")
    meaning = field["description"].replace("|", "\\|")
    return f"| {variable} | {_default(name, field)} | {_allowed(name, field)} | {meaning} |\n"


def _default(name: str, field: dict[str, Any]) -> str:
    if name in DEFAULTS:
        return DEFAULTS[name]
    info = Settings.model_fields[name]
    if info.is_required():
        return "none: it must be set"
    if info.default_factory is not None:
        raise SystemExit(f"{name} has a computed default: describe it in DEFAULTS")
    default = field.get("default")
    return "not set" if default in (None, "") else f"`{default}`"


def _allowed(name: str, field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    form = form_of(name)
    if form is not None:
        return re.sub(r"\S+://\S+", r"`\g<0>`", form)
    if name in FORMS:
        return FORMS[name]
    kind = {"integer": "whole number", "number": "number"}.get(field.get("type", ""))
    if kind is None:
        raise SystemExit(f"{name} has a form of its own: describe it in FORMS")
    return " ".join(filter(None, [kind, _bounds(field)]))


def _bounds(field: dict[str, Any]) -> str:
    bounds = {
        "minimum": "from {}",
        "exclusiveMinimum": "above {}",
        "maximum": "to {}",
        "exclusiveMaximum": "below {}",
    }
    return " ".join(form.format(field[key]) for key, form in bounds.items() if key in field)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
