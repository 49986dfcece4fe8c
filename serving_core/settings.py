"""A service's settings, read from the environment and checked before anything else happens."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving_core.cores import usable_cores
from serving_core.errors import StartError

MIB = 1024 * 1024
# Beyond this, threads of one interpreter wait for one another more than they compute.
MOST_THREADS = 32


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "model-serving"


def _default_threads() -> int:
    return min(usable_cores(), MOST_THREADS)


def _default_batch(given: dict[str, Any]) -> int:
    """Return 16 images for each core, from where on a core's share costs no less an image."""
    threads: int = given.get("threads", 1)
    return 16 * threads


class Settings(BaseSettings):
    """Everything that can be set from outside; a field's variable is its name in upper case."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    service: str
    model_uri: str = Field(min_length=1)
    host: str = "0.0.0.0"  # noqa: S104 - a container listens on all its interfaces; compose publishes on loopback
    port: int = Field(default=8080, ge=1, le=65535)
    model_cache_dir: Path = Field(default_factory=_default_cache)
    local_store: str | None = Field(default=None, pattern=r"^[^=/]+=https?://[^/]+/?$")
    store_timeout_s: float = Field(default=30.0, gt=0, le=3600)
    max_body_bytes: int = Field(default=16 * MIB, ge=1)
    max_pixels: int = Field(default=50_000_000, ge=1)
    body_timeout_s: float = Field(default=10.0, gt=0)
    request_timeout_ms: int = Field(default=30_000, ge=1)
    queue_limit: int = Field(default=256, ge=1)
    queue_bytes: int = Field(default=512 * MIB, ge=1)
    threads: int = Field(default_factory=_default_threads, ge=1, le=1024)
    max_batch: int = Field(default_factory=_default_batch, ge=1, le=1024)
    max_wait_ms: float = Field(default=0.0, ge=0, le=10_000)
    drain_linger_s: float = Field(default=0.5, ge=0, le=60)
    grace_s: float = Field(default=8.0, gt=0, le=3600)
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def load_settings(service: str, model_uri_variable: str) -> Settings:
    """Read the settings of `service` from the environment; raises StartError naming each wrong variable."""
    uri = os.environ.get(model_uri_variable, "")
    if not uri:
        raise StartError(
            f"{model_uri_variable} is not set: give the model's address, such as gs://bucket/folder/file"
        )
    try:
        return Settings(service=service, model_uri=uri)
    except ValidationError as error:
        faults = [
            f"{str(fault['loc'][0]).upper()}={fault['input']!r}: {fault['msg'].lower()}"
            for fault in error.errors()
        ]
        raise StartError("wrong setting: " + "; ".join(faults)) from None
