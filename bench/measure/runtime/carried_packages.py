"""The packages of an image or of this environment, asked for where they are: nothing is changed."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.errors import BenchError
from bench.measure.runtime.log_lines import last_words
from bench.model.carried import CarriedPackage

PROBE = Path(__file__).with_name("licence_probe.py")
# the image's own Python, whatever its name is there
RUN = 'exec "$(command -v python || command -v python3)" -I -B -c "$0"'
TIMEOUT_S = 120
# what a shell ends with that finds no program, and the engine's answer if there is no shell
NO_PROGRAM, NO_SHELL = (126, 127), 400
MANIFEST = Path("model") / "model.json"


def packages_of_image(engine: Any, image: str, remedy: str) -> tuple[CarriedPackage, ...] | None:
    """What the image carries, told by a container without network that writes nothing; None without a Python.

    Raises BenchError, with this remedy, if there is no such image, and if its Python fails.
    """
    import docker

    try:
        engine.images.get(image)
    except docker.errors.ImageNotFound:
        raise BenchError(f"the image {image} is not built: {remedy}") from None
    # its name is known before it is there, so that Ctrl-C at any time leaves nothing behind
    name = f"bench-licences-{uuid4().hex[:12]}"
    try:
        return _printed(_created(engine, image, name), image)
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            engine.api.remove_container(name, force=True, v=True)


def _created(engine: Any, image: str, name: str) -> Any:
    """A container that would run the probe."""
    import docker

    return engine.containers.create(
        image,
        name=name,
        entrypoint=["sh", "-c", RUN],
        command=[PROBE.read_text(encoding="utf-8")],
        network_disabled=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        # whatever the daemon's own log driver is: some cannot be read back
        log_config=docker.types.LogConfig(type="json-file"),
    )


def _printed(container: Any, image: str) -> tuple[CarriedPackage, ...] | None:
    """What the probe prints in this container; None without a shell or a Python."""
    import requests

    import docker

    try:
        container.start()
    except docker.errors.APIError as error:
        if error.status_code != NO_SHELL:
            raise
        return None
    try:
        code = container.wait(timeout=TIMEOUT_S)["StatusCode"]
    except requests.RequestException:
        raise BenchError(
            f"the packages of {image} cannot be listed: its Python did not end within {TIMEOUT_S} s"
        ) from None
    if code in NO_PROGRAM:
        return None
    if code != 0:
        why = last_words(container.logs(stdout=False, stderr=True).decode(errors="replace"))
        raise BenchError(f"the packages of {image} cannot be listed, its Python says: {why}")
    return read_packages(container.logs(stdout=True, stderr=False))


def packages_here() -> tuple[CarriedPackage, ...]:
    """The Python packages of the environment that bench runs in, and so do local processes."""
    command = [sys.executable, "-I", "-B", "-c", PROBE.read_text(encoding="utf-8"), "python"]
    done = subprocess.run(  # noqa: S603  # our own file
        command, capture_output=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"the packages here cannot be listed: {last_words(done.stderr.decode())}")
    return read_packages(done.stdout)


def read_packages(said: bytes) -> tuple[CarriedPackage, ...]:
    """What the probe printed."""
    found: list[dict[str, Any]] = json.loads(said)
    return tuple(CarriedPackage(**one) for one in found)


def model_of(root: Path) -> CarriedPackage | None:
    """The project's model, with the licence that its manifest states; None without a readable manifest."""
    try:
        told = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(told, Mapping) or not isinstance(told.get("name"), str):
        return None
    texts = {key: told[key] for key in ("version", "license", "licence") if isinstance(told.get(key), str)}
    licence = texts.get("license") or texts.get("licence")
    return CarriedPackage("model", told["name"], texts.get("version"), licence)
