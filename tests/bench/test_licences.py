"""`bench licences`: what packages state of their licences, as a table, and what is said if nothing can be."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.types import LogConfig

from bench.cli import INTERRUPTED
from bench.errors import BenchError
from bench.measure.runtime import carried_packages
from bench.measure.runtime.carried_packages import PROBE, model_of, packages_here, packages_of_image
from bench.measure.runtime.engine_client import connect_engine
from bench.measure.runtime.licence_probe import debian_packages, python_packages, short_names, stated
from bench.model.carried import CarriedPackage
from bench.report.licence_table import grouped, licence_table, licence_text
from bench.report.writers import csv as csv_writer

ROOT = Path(__file__).parents[2]
BASE_IMAGE = "python:3.11-slim-bookworm"
Bench = Callable[..., "subprocess.CompletedProcess[str]"]
OSI = "License :: OSI Approved"
TEXT = "Permission is hereby granted, free of charge,\nto any person obtaining a copy"
FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


def dist_info(folder: Path, name: str, *lines: str) -> None:
    place = folder / f"{name}-1.0.dist-info"
    place.mkdir(parents=True)
    text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines])
    (place / "METADATA").write_text(f"{text}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("expression", "field", "classifiers", "licence"),
    [
        ("MIT OR Apache-2.0", "MIT License", [f"{OSI} :: BSD License"], "MIT OR Apache-2.0"),
        (None, "MIT License", [f"{OSI} :: BSD License"], "MIT License"),
        (None, "UNKNOWN", [f"{OSI} :: BSD License"], "BSD License"),
        (None, TEXT, [f"{OSI} :: MIT License", "Topic :: Software"], "MIT License"),
        (None, "x" * 500, [f"{OSI} :: MIT License", OSI], "MIT License"),
        (None, None, [f"{OSI} :: MIT License", "License :: Public Domain"], "MIT License; Public Domain"),
        (None, TEXT, ["Topic :: Software"], None),
        (None, "", [OSI], None),
    ],
)
def test_the_first_that_names_a_licence_is_taken(
    expression: str | None, field: str | None, classifiers: list[str], licence: str | None
) -> None:
    assert stated(expression, field, classifiers) == licence


def test_the_metadata_of_installed_packages_is_read(tmp_path: Path) -> None:
    dist_info(tmp_path, "one", "License-Expression: MIT")
    dist_info(tmp_path, "two", "License: BSD", f"Classifier: {OSI} :: MIT License")
    dist_info(tmp_path, "three")
    found = {one["name"]: (one["version"], one["licence"]) for one in python_packages([str(tmp_path)])}
    assert found == {"one": ("1.0", "MIT"), "two": ("1.0", "BSD"), "three": ("1.0", None)}


def test_debian_packages_have_the_short_names_or_the_place_of_their_text(tmp_path: Path) -> None:
    status = [
        "Package: free\nStatus: install ok installed\nVersion: 1-2",
        "Package: old\nStatus: install ok installed\nVersion: 3\nDescription: a\n package: not one",
        "Package: bare\nStatus: install ok installed\nVersion: 4",
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 5",
    ]
    (tmp_path / "var/lib/dpkg/status.d").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text("\n\n".join(status) + "\n", encoding="utf-8")
    (tmp_path / "var/lib/dpkg/status.d/small").write_text("Package: small\nVersion: 6\n", encoding="utf-8")
    docs = tmp_path / "usr/share/doc"
    text = (
        f"{FORMAT}\nFiles: *\nLicense: GPL-2+\n text\n\nFiles: a\nLicense: Expat\n\nLicense: GPL-2+\n text\n"
    )
    for name, content in (("free", text), ("old", "It is free.\nLicense: see below\n")):
        (docs / name).mkdir(parents=True)
        (docs / name / "copyright").write_text(content, encoding="utf-8")
    found = {
        one["name"]: (one["version"], one["licence"], one["text_at"]) for one in debian_packages(tmp_path)
    }
    assert found == {
        "free": ("1-2", "GPL-2+, Expat", None),
        "old": ("3", None, "/usr/share/doc/old/copyright"),
        "bare": ("4", None, None),
        "small": ("6", None, None),
    }


def test_a_copyright_file_that_names_no_licence_has_no_short_names() -> None:
    assert short_names(f"{FORMAT}\nFiles: *\nCopyright: somebody\n") is None


def test_a_package_of_several_images_is_one_row() -> None:
    mit = CarriedPackage("python", "one", "1", "MIT")
    older = CarriedPackage("python", "one", "0", "MIT")
    shell = CarriedPackage("debian", "sh", "2", None, "/usr/share/doc/sh/copyright")
    found = grouped({"torch": (shell, mit), "onnx": (mit, older)})
    assert found == [(mit, ("torch", "onnx")), (older, ("onnx",)), (shell, ("torch",))]
    rows = list(csv.reader(io.StringIO(csv_writer.table(licence_table(found)))))
    assert rows == [
        ["kind", "package", "version", "in", "licence"],
        ["python", "one", "1", "torch, onnx", "MIT"],
        ["python", "one", "0", "onnx", "MIT"],
        ["debian", "sh", "2", "torch", "see /usr/share/doc/sh/copyright"],
    ]
    assert licence_text(CarriedPackage("python", "two", "1", None)) == "not stated"


def test_the_probe_is_read_by_any_python_and_imports_the_standard_library_alone() -> None:
    """It is sent into images as text, where bench is not."""
    command = [sys.executable, "-I", "-S", "-B", "-c", PROBE.read_text("utf-8"), "python"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["name"] == "Python"


def test_the_packages_here_are_those_of_this_environment() -> None:
    found = {one.name: one for one in packages_here()}
    assert found["numpy"].licence
    assert {one.kind for one in found.values()} == {"python"}


@pytest.mark.parametrize(
    ("manifest", "found"),
    [
        ({"name": "a", "version": "2", "license": "MIT"}, CarriedPackage("model", "a", "2", "MIT")),
        ({"name": "a", "licence": "CC-BY-4.0"}, CarriedPackage("model", "a", None, "CC-BY-4.0")),
        ({"name": "a", "license": 3}, CarriedPackage("model", "a", None, None)),
        ({"version": "1"}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_model_has_the_licence_of_its_manifest(
    tmp_path: Path, manifest: object, found: CarriedPackage | None
) -> None:
    if manifest is not None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert model_of(tmp_path) == found


def test_the_verb_lists_what_is_here_as_json(bench: Bench, project: Path) -> None:
    done = bench("licences", "--runtime", "process", "--json", "--root", project)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["schema"] == 1
    assert [one["in"] for one in told["packages"] if one["name"] == "numpy"] == [["this environment"]]


def test_an_unknown_strategy_is_one_line(bench: Bench, project: Path) -> None:
    done = bench("licences", "quick", "--root", project)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bench: unknown strategy quick: compose.yaml registers fast, slow\n"


def test_without_an_engine_one_line_says_so(bench: Bench, project: Path) -> None:
    done = bench("licences", "--root", project, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "no Docker engine answers" in done.stderr


@pytest.mark.engine
def test_an_image_that_is_not_built_is_one_line_with_the_remedy(bench: Bench, project: Path) -> None:
    done = bench("licences", "fast", "--root", project)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("bench: the image bench-test-")
    assert done.stderr.endswith("-stub is not built: build it, `docker compose build fast-service`\n")


# an image without a shell, one with a shell and no Python, and one whose Python fails
EMPTY = ["FROM scratch", "COPY copyright /copyright"]
ONLY_SHELL = [f"FROM {BASE_IMAGE}", "RUN mkdir /own && ln -s /bin/sh /own/sh", "ENV PATH=/own"]
FAILING = [
    f"FROM {BASE_IMAGE}",
    r"RUN mkdir /own && printf '#!/bin/sh\necho it is broken >&2; exit 3' >/own/python",
    "RUN chmod +x /own/python",
    "ENV PATH=/own:$PATH",
]
HANGING = [*FAILING[:1], FAILING[1].replace("echo it is broken >&2; exit 3", "exec sleep 600"), *FAILING[2:]]


def image_of(name: str) -> str:
    """The image that `carrying` builds for a strategy."""
    return f"bench-test-licences-{os.getpid()}-{name}"


def containers(name: str) -> str:
    """The ids of all containers of that image, a line each."""
    command = ["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={image_of(name)}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def carrying(project: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The project with an image for `fast` that carries two packages; `slow` has the one of the parameter."""
    without: list[str] = request.param
    names = {name: image_of(name) for name in ("fast", "slow")}
    text = (project / "compose.yaml").read_text("utf-8")
    for name, image in names.items():
        head, mark, rest = text.partition(f"  {name}-service:\n    image: ")
        text = f"{head}{mark}{image}\n{rest.partition(chr(10))[2]}"
        folder = tmp_path / name
        (folder / "site").mkdir(parents=True)
        dist_info(folder / "site", "free", "License-Expression: MIT")
        (folder / "copyright").write_text(f"{FORMAT}\nFiles: *\nLicense: GPL-2+\n", encoding="utf-8")
        lines = [f"FROM {BASE_IMAGE}", "COPY site /site", "COPY copyright /usr/share/doc/dpkg/copyright"]
        lines += ["RUN echo /site >$(python -c 'import site; print(site.getsitepackages()[0])')/more.pth"]
        if name == "slow":
            lines = without
        # an image of its own: containers of an equal image would be taken for this one's
        lines = [*lines, f"LABEL bench.test={image}-{time.time_ns()}"]
        (folder / "Dockerfile").write_text("\n".join(lines) + "\n", encoding="utf-8")
        build = ["docker", "build", "--quiet", "--tag", image, str(folder)]
        subprocess.run(build, check=True, capture_output=True, timeout=300)
    (project / "compose.yaml").write_text(text, encoding="utf-8")
    yield project
    subprocess.run(["docker", "rmi", "--force", *names.values()], check=True, capture_output=True)


@pytest.mark.engine
@pytest.mark.parametrize("carrying", [EMPTY, ONLY_SHELL], indirect=True, ids=["empty", "shell"])
def test_an_image_tells_its_packages_and_what_cannot_tell_is_left_out(bench: Bench, carrying: Path) -> None:
    done = bench("licences", "--format", "csv", "--root", carrying)
    assert (done.returncode, done.stderr) == (
        0,
        "bench: slow is left out: its image runs no Python that could list it\n",
    )
    rows = {row["package"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert rows["free"] == {
        "kind": "python",
        "package": "free",
        "version": "1.0",
        "in": "fast",
        "licence": "MIT",
    }
    assert (rows["dpkg"]["kind"], rows["dpkg"]["licence"]) == ("debian", "GPL-2+")
    assert rows["Python"]["kind"] == "python"
    assert containers("fast") == containers("slow") == ""


@pytest.mark.engine
@pytest.mark.parametrize("carrying", [FAILING], indirect=True, ids=["failing"])
def test_a_python_that_fails_is_one_line(bench: Bench, carrying: Path) -> None:
    done = bench("licences", "slow", "--root", carrying)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.endswith(" cannot be listed, its Python says: it is broken\n")
    assert containers("slow") == ""


class WithoutLogs:
    """The engine as its daemon would be whose own log driver keeps nothing that can be read back."""

    def __init__(self, engine: Any) -> None:
        self.images, self.api, self.containers = engine.images, engine.api, self
        self._create = engine.containers.create

    def create(self, *args: Any, **settings: Any) -> Any:
        """Create a container with the daemon's log driver if the caller names none."""
        return self._create(*args, **{"log_config": LogConfig(type="none"), **settings})


@pytest.mark.engine
@pytest.mark.parametrize("carrying", [EMPTY], indirect=True, ids=["empty"])
def test_an_image_tells_its_packages_whatever_the_daemon_s_log_driver_is(carrying: Path) -> None:
    del carrying
    found = packages_of_image(WithoutLogs(connect_engine()), image_of("fast"), "build it")
    assert found is not None
    assert "free" in {one.name for one in found}


@pytest.mark.engine
@pytest.mark.parametrize("carrying", [HANGING], indirect=True, ids=["hanging"])
def test_a_python_that_does_not_end_is_told_and_leaves_no_container(
    carrying: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does Ctrl-C while it runs."""
    monkeypatch.setattr(carried_packages, "TIMEOUT_S", 1)
    with pytest.raises(BenchError, match="its Python did not end within 1 s"):
        packages_of_image(connect_engine(), image_of("slow"), "build it")
    assert containers("slow") == ""
    command = [sys.executable, "-m", "bench", "licences", "slow", "--root", str(carrying)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as listing:
        deadline = time.monotonic() + 60
        while not containers("slow") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert containers("slow")
        listing.send_signal(signal.SIGINT)
        assert "interrupted" in listing.communicate(timeout=60)[1]
    assert listing.returncode == INTERRUPTED
    assert containers("slow") == ""
