"""rust_serving as a program of this machine, built by cargo, with ONNX Runtime's library of the wheel."""

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "rust_serving" / "Cargo.toml"
# the name of the service where tests are parametrised by services
RUST = pytest.param("rust", marks=pytest.mark.rust)
BUILD_S = 1800


def required() -> bool:
    """Tell whether tests of rust_serving must not be skipped."""
    return os.environ.get("REQUIRE_RUST") == "1"


def what_is_missing() -> str | None:
    """Say what a build of rust_serving lacks here; None if it lacks nothing that is seen at once."""
    if not MANIFEST.is_file():
        return "there is no rust_serving in this checkout"
    if shutil.which("cargo") is None:
        return "rust_serving needs cargo, which is not installed"
    return None


@cache
def why_not() -> str | None:
    """Say why rust_serving cannot be built here; None if it can. Needs no network if all crates are here."""
    if (missing := what_is_missing()) is not None:
        return missing
    fetched = _cargo("fetch")
    if fetched.returncode:
        last = (fetched.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return f"cargo cannot fetch the crates of rust_serving: {last}"
    return None


def rust_command() -> list[str]:
    """Return the words that start rust_serving; where it cannot be built, skip the test or fail it."""
    return [str(rust_target("rust_serving"))]


def rust_target(name: str) -> Path:
    """Return a program or library of the workspace; where it cannot be built, skip the test or fail it."""
    if (reason := why_not()) is not None:
        if required():
            pytest.fail(reason)
        pytest.skip(reason)
    return _built()[name]


@cache
def _built() -> dict[str, Path]:
    """Build the workspace as tools/rust.sh does, so that cargo compiles nothing twice; return its programs.

    A process that asks meanwhile waits for cargo's own lock.
    """
    environment = {**os.environ, "PYO3_NO_PYTHON": "1"}
    words = ("--workspace", "--all-targets", "--message-format", "json-render-diagnostics")
    built = _cargo("build", *words, environment=environment)
    assert built.returncode == 0, built.stderr
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return {
        message["target"]["name"]: Path(file)
        for message in messages
        if message["reason"] == "compiler-artifact" and not message["profile"]["test"]
        for file in (message["executable"], *message["filenames"])
        if file is not None and (file == message["executable"] or file.endswith(".so"))
    }


def _cargo(
    verb: str, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["cargo", verb, "--locked", "--manifest-path", str(MANIFEST), *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )


@cache
def runtime_library() -> Path:
    """Return the shared library of the installed package onnxruntime."""
    found = importlib.util.find_spec("onnxruntime")
    assert found is not None
    assert found.origin is not None
    (library,) = (Path(found.origin).parent / "capi").glob("libonnxruntime.so*")
    return library


def rust_environment() -> dict[str, str]:
    """Return what rust_serving needs beside the settings that all services have."""
    return {"ORT_DYLIB_PATH": str(runtime_library()), "ORT_DISABLE_TELEMETRY": "1"}
