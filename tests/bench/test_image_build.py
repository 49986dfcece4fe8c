"""Images are built with a line for each, and with all that was printed if it is asked for or if one fails."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.cores import choose_cores
from bench.measure.progress import Progress
from bench.measure.runtime.compose_runtime import ComposeRuntime
from bench.measure.runtime.engine_client import connect_engine
from bench.measure.runtime.image_build import BuildLines, ImageBuild, build_images
from bench.measure.runtime.registry import load_registry
from bench.run_file import read_run
from bench.verbs.terminal_progress import PlainProgress

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
BASE_IMAGE = "python:3.11-slim-bookworm"
PRINTED = """\
#0 building with "default" instance using docker driver

#1 [one internal] load build definition from Dockerfile
#1 DONE 0.1s

#3 [one internal] load metadata for docker.io/library/python:3.11-slim-bookworm
#3 DONE 0.0s

#6 [one 1/3] FROM docker.io/library/python:3.11-slim-bookworm
#6 DONE 0.0s

#7 [one 2/3] RUN pip install it
#7 0.385 #8 [two 9/9] RUN what a command prints itself
#7 ...

#8 [two build 2/3] RUN make
#8 CACHED

#7 [one 2/3] RUN pip install it
#7 DONE 1.6s

#9 [one 3/3] COPY . .
#9 CACHED

#10 [two stage-1 3/3] COPY --from=build /it .
#10 CACHED

#11 [two] exporting to image
#11 exporting layers 0.0s done
#11 DONE 0.1s

#12 [one] exporting to image
#12 DONE 0.1s
"""
NOTHING_SHOWN = "Step 1/2 : FROM x\n ---> 0123\nSuccessfully tagged one\n"


def build(script: str, *services: str) -> tuple[ImageBuild, list[str], list[str]]:
    told: list[str] = []
    shown: list[str] = []
    done = build_images(["sh", "-c", script], Path(), {}, BuildLines(services, told.append), shown.append)
    return done, told, shown


def test_a_line_a_service_is_told_as_its_image_is_there(tmp_path: Path) -> None:
    (tmp_path / "printed").write_text(PRINTED)
    done, told, shown = build(f"cat {tmp_path}/printed", "one", "two")
    assert [re.sub(r"\d+\.\d s$", "T s", line) for line in told] == [
        "image of two: cached, after T s",
        "image of one: built, 1 of 2 steps anew, after T s",
    ]
    assert (done.succeeded, done.output, shown) == (True, PRINTED, PRINTED.splitlines())


def test_a_builder_that_shows_no_ends_costs_no_line(tmp_path: Path) -> None:
    (tmp_path / "printed").write_text(NOTHING_SHOWN)
    done, told, _ = build(f"cat {tmp_path}/printed", "one", "two")
    assert [line.split(":")[0] for line in told] == ["image of one", "image of two"]
    assert done.succeeded


def test_a_build_that_fails_tells_of_nothing_that_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "printed").write_text(PRINTED.partition("#12 [one] exp")[0])
    done, told, _ = build(f"cat {tmp_path}/printed; echo no space >&2; exit 1", "one", "two")
    assert [line.split(":")[0] for line in told] == ["image of two"]
    assert not done.succeeded
    assert done.output.endswith("no space\n")


@pytest.fixture
def buildable(project: Path) -> Iterator[Path]:
    """The project with an image that compose builds for each service."""
    (project / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nWORKDIR /app\nCOPY stub_strategy.py .\n")
    text = (project / "compose.yaml").read_text()
    (project / "compose.yaml").write_text(
        re.sub(r"  (\S+):\n    image: .*\n", r"  \1:\n    build: .\n", text)
    )
    yield project
    down = ["docker", "compose", "down", "--rmi", "local", "--timeout", "1"]
    subprocess.run(down, cwd=project, check=True, capture_output=True)


def prepare(project: Path, progress: Progress) -> None:
    """Build the images and bring up what supports them."""
    registry = load_registry(project)
    runtime = ComposeRuntime(registry, choose_cores(None, None), connect_engine(), progress)
    try:
        runtime.prepare([registry.strategies["fast"]], build=True)
    finally:
        runtime.close()


@pytest.mark.engine
def test_a_build_prints_a_line_a_service_and_with_verbose_all(
    buildable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(buildable, PlainProgress())
    text = capsys.readouterr().err
    assert sorted(re.findall(r"image of (\S+): (?:built|cached)", text)) == ["fast-service", "helper"]
    assert "#1" not in text
    assert "Dockerfile" not in text
    prepare(buildable, PlainProgress(verbose=True))
    text = capsys.readouterr().err
    assert sorted(re.findall(r"image of (\S+): cached", text)) == ["fast-service", "helper"]
    assert "load build definition from Dockerfile" in text


@pytest.mark.engine
def test_an_image_that_cannot_be_built_shows_why_if_little_is_asked_for(
    bench: Bench, buildable: Path, tmp_path: Path
) -> None:
    with (buildable / "Dockerfile").open("a") as file:
        file.write("RUN echo first-cause; echo why-it-failed >&2; exit 3\n")
    done = bench("run", "--quick", "--root", buildable, "--results", tmp_path / "results", "--quiet")
    assert done.returncode == 1
    assert "first-cause" in done.stderr
    assert "why-it-failed" in done.stderr
    assert done.stderr.splitlines()[-1].endswith("could not be built: the lines above say why")


@pytest.mark.engine
def test_a_run_measures_what_can_be_built_and_says_what_is_missing(
    bench: Bench, buildable: Path, tmp_path: Path
) -> None:
    (buildable / "broken.Dockerfile").write_text(f"FROM {BASE_IMAGE}\nRUN echo why-it-failed >&2; exit 7\n")
    compose = buildable / "compose.yaml"
    before, name, after = compose.read_text().partition("  slow-service:")
    broken = after.replace("build: .", "build: {context: ., dockerfile: broken.Dockerfile}", 1)
    assert broken != after
    compose.write_text(before + name + broken)
    words = ("--quick", "--max-other-cpu", "100%", "--window-s", "1", "--warmup-s", "0.3", "--startups", "1")
    places = ("--root", buildable, "--results", tmp_path / "results", "--strategies", "fast,slow")
    done = bench("run", *words, *places)
    assert done.returncode == 4, done.stderr
    assert "why-it-failed" in done.stderr
    assert "slow is left out: its image could not be built" in done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    run = read_run(folder)
    assert {one.strategy for one in run.trials} == {"fast"}
    assert run.strategies["slow"].failure is not None
    assert run.strategies["slow"].failure.code == "not_built"


def test_quiet_and_verbose_are_not_asked_for_at_once(bench: Bench) -> None:
    done = bench("run", "--quiet", "--verbose")
    assert done.returncode == 2
    assert "not allowed with" in done.stderr
