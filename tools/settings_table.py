"""Writes docs/settings.md from the types of the settings; with --check, says whether the page is current."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # a program's own folder comes first in the path

from serving_core.http.protocol import ConnectionLimits  # noqa: E402 - the path comes first
from serving_core.http.request_bytes import BODY_BYTES_A_BYTE_BESIDE  # noqa: E402 - the path comes first
from serving_core.settings import Settings, form_of  # noqa: E402 - the path comes first

PAGE = ROOT / "docs" / "settings.md"
COMMAND = "python tools/settings_table.py"
# the page's names for variables that are not named after their field
VARIABLES = {"model_uri": "`TORCH_MODEL_URI`, `ONNX_MODEL_URI`, `ONNX_NETWORK_URI`"}
# defaults that depend on the machine
DEFAULTS = {
    "model_cache_dir": "`$XDG_CACHE_HOME/model-serving`, else `~/.cache/model-serving`",
    "threads": "the usable cores, 32 at most, divided by `WORKERS`",
    "max_request_pixels": "16 times `MAX_PIXELS`",
    "decode_bytes": "half of the container's memory limit, or of the free memory if there is none, "
    "divided by `WORKERS`",
    "max_batch": "16 times `THREADS`, 32 at least",
}
# fields that the environment does not set
INTERNAL = {"service", "model_uri_variable"}
# the forms that a later step of a start checks, if no pattern describes them
FORMS = {
    "model_uri": "an address or pairs",
    "manifest_uri": "an address or pairs",
    "handler": "a class or pairs",
    "model_cache_dir": "a folder",
    "host": "a name or an address",
}
LIMITS = ConnectionLimits()
INTRODUCTION = f"""# Settings

Every service reads these environment variables when it starts; an empty variable counts as not set. A value
that is out of bounds ends the start with exit status 1 and one line that names the variable.

For containers, write the variables into `service.env` beside `compose.yaml`, one `NAME=value` on each line:
all services read this file. Compose itself sets `PORT`, `MODEL_CACHE_DIR` and `LOCAL_STORE`, whatever
the file says, and `PIXELS`, `ENGINE`, `PRECISION` and `COMPUTE` for the strategies that differ by these. It
takes `TORCH_MODEL_URI`, `ONNX_MODEL_URI`, `ONNX_NETWORK_URI`, `ONNX_PLAIN_URI`, `ONNX_INT8_URI` and
`TORCH_COMPILED_URI` from the environment or from `.env`. Compose gives a stop 20 s: keep
`GRACE_S` and `DRAIN_LINGER_S` well below that.

batched_serving computes with PyTorch if `TORCH_MODEL_URI` is set, and with ONNX Runtime if `ONNX_MODEL_URI`
alone is.

rust_serving reads the same variables, its model's address from `ONNX_NETWORK_URI`. It has one process, no
handlers, no batches and no GPU: `WORKERS`, `HANDLER`, `MAX_BATCH`, `MAX_WAIT_MS` and `DEVICE` end its start
with a line that says so, if they ask for one of these. `PIXELS` changes nothing of it.

`QUEUE_LIMIT`, `QUEUE_BYTES`, `DECODE_BYTES` and `MAX_CONNECTIONS` hold for each process: with `WORKERS=4` a
service accepts four times as much.

SIGTERM, SIGINT, SIGHUP, SIGQUIT and SIGPWR stop a service in order: it takes nothing new, answers what it
has accepted, and ends with status 0. A second SIGTERM or SIGINT ends it without waiting for accepted
requests; the others may come as often as they like, because a terminal that closes sends several. SIGUSR1,
SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO and SIGPIPE change nothing, nor does SIGHUP under `nohup`.

Some limits are not settings. A request has at most {LIMITS.headers} headers, of {LIMITS.header_bytes} bytes
in all. A body in chunks may bring as many bytes beside its own (chunks' sizes and extensions, trailers), and
one more for each {BODY_BYTES_A_BYTE_BESIDE} bytes of its own; trailers are thrown away. A client may send
{LIMITS.pipelined} requests on a connection ahead of their answers.

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
