"""A service's settings: read from the environment, and checked before anything else happens."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving_core.cores import usable_cores
from serving_core.engine_choices import Execution, Precision, Runtime
from serving_core.errors import StartError
from serving_core.models.addresses import shown_whole
from serving_core.models.limits import MOST_MODEL_BYTES
from serving_core.preparation.preparer import Preparer
from serving_core.usable_memory import usable_memory_bytes

MIB = 1024 * 1024
MOST_PIXELS = 50_000_000
LONGEST_SHOWN = 80
# With more threads than this, the threads of one interpreter wait for one another more than they compute.
MOST_THREADS = 32
# name=value, with a name that a path holds without encoding
_PAIR = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)")
NAMED_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*=[a-z]+://.+")
# a signed address may itself contain commas
_BEFORE_NAMED_MODEL = re.compile(rf"\s*,\s*(?={NAMED_MODEL.pattern})")
_PATH = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*=)?(/.+)")
# scheme, name and password, host and port, path
_GATEWAY = r"^(https?://([^/?#@\s]+@)?(\[[0-9a-fA-F:.]+\]|[^/?#@:\[\]\s]+)(:[0-9]{1,5})?(/[^?#@\s]*)?)?$"


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "model-serving"


def _default_threads(given: dict[str, Any]) -> int:
    workers: int = given.get("workers", 1)
    return max(1, min(usable_cores(), MOST_THREADS) // workers)


def _default_batch(given: dict[str, Any]) -> int:
    """Return a size that is enough for a single core, and for a GPU beside many cores."""
    threads: int = given.get("threads", 1)
    return max(32, 16 * threads)


def _default_request_pixels(given: dict[str, Any]) -> int:
    """Return enough for the most items of a photograph's usual size."""
    max_pixels: int = given.get("max_pixels", MOST_PIXELS)
    return 16 * max_pixels


def _default_decode_bytes(given: dict[str, Any]) -> int:
    """Return half of what a process may use; the other half is for the model, its batches and the bodies."""
    workers: int = given.get("workers", 1)
    return max(MIB, usable_memory_bytes() // 2 // workers)


class Settings(BaseSettings):
    """All settings of a service; the environment variable of a field is its name in upper case."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    service: str
    model_uri_variable: str = "MODEL_URI"
    model_uri: str = Field(
        min_length=1,
        description="The model's address, gs://bucket/folder/file, file:///path or https://host/path; or "
        "several models as name=address pairs with commas between them; /predict/ serves the first model.",
    )
    manifest_uri: str = Field(
        default="",
        description="The address of the model's manifest, if it is not model.json in the model's folder: an "
        "address that is signed holds for one file; or name=address pairs, for the models with those names.",
    )
    max_model_bytes: int = Field(
        default=MOST_MODEL_BYTES, ge=1, description="The longest file that is pulled as a model."
    )
    handler: str = Field(
        default="",
        description="A class of your own that serves the model, package.module:Class; or "
        "name=package.module:Class pairs with commas between them, for the models with those names. "
        "Others are served as the kind in their manifest says.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="The address to listen on; in the images 0.0.0.0, as compose publishes their ports.",
    )
    port: int = Field(default=8080, ge=1, le=65535, description="The port to listen on.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes that answer on the port; a dead process is replaced."
    )
    model_cache_dir: Path = Field(
        default_factory=_default_cache, description="Where pulled models are kept for the next start."
    )
    local_store: str | None = Field(
        default=None,
        pattern=r"^[^=/]+=https?://[^/?#@\s]+/?$",
        json_schema_extra={"form": "bucket=http://host:port"},
        description="bucket=http://host:port: a stand-in at this address serves this bucket of gs://.",
    )
    store_timeout_s: float = Field(
        default=30.0, gt=0, le=3600, description="How long pulling a model may take in all."
    )
    max_body_bytes: int = Field(default=16 * MIB, ge=1, description="The longest body of a request.")
    max_pixels: int = Field(
        default=MOST_PIXELS, ge=1, description="The most pixels of an image, judged by its header."
    )
    max_request_pixels: int = Field(
        default_factory=_default_request_pixels,
        ge=1,
        description="The most pixels of a request of several images, judged by their headers.",
    )
    decode_bytes: int = Field(
        default_factory=_default_decode_bytes,
        ge=1,
        description="Memory that images take while they are decoded, all threads of a process together; an "
        "image waits for its share, and is refused with 413 if it needs more than all.",
    )
    pixels: Preparer = Field(
        default="graph",
        description="Who prepares images. graph: the graph of model.onnx itself; for PyTorch, Pillow. Others "
        "make the crop outside of the graph, which is then network.onnx: Pillow; simd, libjpeg-turbo with "
        "fast_image_resize; scaled, the same with large JPEGs decoded at a part of their size, so that "
        "answers are near to the reference's; native, the code of rust_serving. A model without images is "
        "served as ever.",
    )
    engine: Runtime = Field(
        default="onnxruntime",
        description="What computes onnx_serving's graph: ONNX Runtime, or OpenVINO, which takes graphs that "
        "were not optimised for ONNX Runtime: network_plain.onnx, with PIXELS other than graph.",
    )
    precision: Precision = Field(
        default="fp32",
        description="The numbers that OpenVINO computes with. Without a processor's instructions for bf16 it "
        "computes in fp32, and the log says so once.",
    )
    compute: Execution = Field(
        default="eager",
        description="How torch_serving computes: eager PyTorch; channels_last, with the channels of a pixel "
        "beside each other in memory; fused, frozen and fused for oneDNN at the start; or aot, the code in "
        "network.pt2, which `python -m modelkit compile` made for this kind of processor.",
    )
    max_items: int = Field(default=64, ge=1, le=4096, description="The most items in one request.")
    max_connections: int = Field(
        default=1024,
        ge=1,
        le=1_000_000,
        description="Connections a process holds at once. If all are taken, the longest idle is closed for a "
        "new one; if none is idle, the new one is refused with 503.",
    )
    header_timeout_s: float = Field(
        default=10.0, gt=0, le=3600, description="How long a request's headers may take to arrive."
    )
    body_timeout_s: float = Field(
        default=10.0, gt=0, le=3600, description="How long a request's body may take to arrive."
    )
    request_timeout_ms: int = Field(
        default=30_000,
        ge=1,
        le=3_600_000,
        description="A request's deadline, unless the header X-Request-Timeout-Ms sets another.",
    )
    queue_limit: int = Field(
        default=256,
        ge=1,
        description="Items accepted and not yet answered; more are refused with 429. A request of several "
        "images counts as an item for each 4 megapixels, if that is more.",
    )
    queue_bytes: int = Field(
        default=512 * MIB, ge=1, description="Bytes of bodies held at once; more are refused with 429."
    )
    threads: int = Field(
        default_factory=_default_threads,
        ge=1,
        le=1024,
        description="Threads that compute, in each process. The default divides the usable cores.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="Where batched_serving computes: cuda, cpu, or auto (a GPU if the machine has a GPU).",
    )
    device_memory_share: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="The share of a GPU's memory that the service may take, all its processes together.",
    )
    max_batch: int = Field(
        default_factory=_default_batch,
        ge=1,
        le=1024,
        description="The most items computed together, of several requests if the strategy batches; warm-up "
        "lowers it if larger batches gain nothing; 1 turns batching off.",
    )
    max_wait_ms: float = Field(
        default=0.0,
        ge=0,
        le=10_000,
        description="How long a batch waits to fill, counted from its oldest item's arrival.",
    )
    drain_linger_s: float = Field(
        default=0.5, ge=0, le=60, description="How long a stop answers 503 before it closes the port."
    )
    grace_s: float = Field(
        default=8.0, gt=0, le=3600, description="How long a stop waits for accepted requests."
    )
    pushgateway: str = Field(
        default="",
        pattern=_GATEWAY,
        json_schema_extra={"form": "http://host:port or https://name:password@host:port"},
        description="The address of a Prometheus Pushgateway to which the metrics are pushed too.",
    )
    push_interval_s: float = Field(
        default=15.0, gt=0, le=3600, description="How often metrics are pushed if PUSHGATEWAY is set."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The lowest level that is logged."
    )


def load_settings(service: str, model_uri_variable: str) -> Settings:
    """Read the settings of `service` from the environment; raises StartError that names each wrong variable.

    The error does not show the parts of an address that may be secret.
    """
    uri = os.environ.get(model_uri_variable, "")
    if not uri:
        raise StartError(
            f"{model_uri_variable} is not set: give the model's address, such as gs://bucket/folder/file"
        )
    try:
        settings = Settings(service=service, model_uri_variable=model_uri_variable, model_uri=uri)
    except ValidationError as error:
        # a default that is derived from a wrong setting is not a second fault
        faults = [fault for fault in error.errors() if fault["type"] != "default_factory_not_called"]
        raise StartError("wrong setting: " + "; ".join(map(_in_words, faults))) from None
    model_addresses(settings)
    manifest_addresses(settings)
    handler_names(settings)
    return settings


def _in_words(fault: ErrorDetails) -> str:
    name, given = str(fault["loc"][0]), fault["input"]
    form = form_of(name)
    if form is None:
        return f"{name.upper()}={shortened(given)}: {fault['msg'].lower()}"
    return f"{name.upper()}={shown_whole(given)!r}: input should be {form}"


def shortened(given: object) -> str:
    """Return a setting's value for a message, so short that the message stays one line."""
    shown = repr(given)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}..."


def form_of(name: str) -> str | None:
    """Return in words the form of the setting `name`; None if the form follows from its type."""
    extra = Settings.model_fields[name].json_schema_extra
    return str(extra["form"]) if isinstance(extra, dict) else None


def model_addresses(settings: Settings) -> Mapping[str | None, str]:
    """Return each model's address by its name; the key None stands for the name in the manifest.

    Raises StartError for a path instead of an address, for a malformed pair, and for two pairs with one name.
    """
    return _addresses(settings.model_uri_variable, settings.model_uri)


def manifest_addresses(settings: Settings) -> Mapping[str | None, str]:
    """Return the address of each manifest that is not beside its model, by the keys of model_addresses.

    Raises StartError for a malformed address or pair, for an address alone if there are several models, and
    for a name that no model has.
    """
    if not settings.manifest_uri:
        return {}
    models, manifests = model_addresses(settings), _addresses("MANIFEST_URI", settings.manifest_uri)
    if None in manifests and len(models) > 1:
        raise StartError("MANIFEST_URI is one address for several models: write name=address pairs")
    if strangers := manifests.keys() - models.keys() - {None}:
        raise StartError(f"MANIFEST_URI names {', '.join(map(repr, strangers))}: use its models' names")
    return dict.fromkeys(models, manifests[None]) if None in manifests else manifests


def _addresses(variable: str, text: str) -> dict[str | None, str]:
    parts = _BEFORE_NAMED_MODEL.split(text.strip())
    for part in parts:
        path = _PATH.fullmatch(part)
        if path is not None:
            raise StartError(
                f"{variable} has a path, {part!r}, and no address: write {path[1] or ''}file://{path[2]}"
            )
    if len(parts) == 1 and not NAMED_MODEL.match(parts[0]):
        return {None: parts[0]}
    return _pairs(variable, parts, "name=gs://bucket/folder/file")


def handler_names(settings: Settings) -> Mapping[str | None, str]:
    """Return each "package.module:Class" by its model's name, or by None for all; raises StartError."""
    if not settings.handler:
        return {}
    if "=" not in settings.handler:
        return {None: settings.handler}
    return _pairs(
        "HANDLER", [part.strip() for part in settings.handler.split(",")], "name=package.module:Class"
    )


def _pairs(variable: str, parts: Iterable[str], form: str) -> dict[str | None, str]:
    named: dict[str | None, str] = {}
    for part in parts:
        match = _PAIR.fullmatch(part)
        if match is None:
            raise StartError(
                f"{variable} has the part {shown_whole(part)!r}: write {form}, with commas between pairs"
            )
        name, value = match.groups()
        if name in named:
            raise StartError(f"{variable} names {name!r} twice: give each model a name of its own")
        named[name] = value
    return named
