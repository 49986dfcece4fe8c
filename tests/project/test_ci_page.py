"""docs/ci.md: what is typed in an empty git repository leads to a workflow whose steps run as they stand."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.gate import read_rules
from tests.running.ports import free_port

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "docs/ci.md").read_text("utf-8").partition("## In a repository of your own")[2]
(PAGE,) = re.findall(r"^```sh\n(.*?)^```", SECTION.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
(LINE,) = re.findall(r"^```yaml\n(.*?)\n```", SECTION, re.MULTILINE | re.DOTALL)
PLACEHOLDER = "https://HOST/OWNER/REPOSITORY.git@COMMIT"
MAKES_ENVIRONMENT = "python3 -m venv .venv\n"
# each starts the service that answers
ASKS = re.compile(r"^\.venv/bin/bench requests .*\n", re.MULTILINE)
# the steps of the job that judges a pull request
INSTALLS, JUDGES, ENDS = (
    "install the harness",
    "build and measure base and head, and judge",
    "pass or fail",
)
# what stands for the page's address: git fetches it from this machine
PUBLIC = "https://git.example.org/"
GIT = {
    f"GIT_{who}_{what}": "nobody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
# no package index, and no engine
ALONE = {"PIP_NO_BUILD_ISOLATION": "false", "PIP_NO_INDEX": "1"}
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def sh(script: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """As a runner does: `python` is there and has pip."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, **GIT, **ALONE, **environment},
        capture_output=True,
        text=True,
        timeout=1400,
        check=False,
    )


def done(script: str, folder: Path, **environment: str) -> str:
    ended = sh(script, folder, **environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def bring_packages(environment: Path) -> None:
    """What a package index would give: this environment's packages, also to build with."""
    (packages,) = (environment / "lib").glob("python*/site-packages")
    for older in packages.glob("setuptools*"):  # which Python 3.11 puts into every environment
        shutil.rmtree(older)
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")


def test_what_the_page_shows_is_what_the_template_installs() -> None:
    """Beside the nightly tests, which type it: tests/project/test_init.py has the address filled in."""
    template = (ROOT / "bench/project/templates/bench.yml").read_text("utf-8")
    assert template.count(LINE.removesuffix(f"git+{PLACEHOLDER}") + "@HARNESS@\n") == 2
    assert "git+$HARNESS" in PAGE
    assert PAGE.startswith(f"HARNESS={PLACEHOLDER}  # fill in")


@dataclass(frozen=True, slots=True)
class Typed:
    """The repository in which the page was typed, where its harness came from, and what was said."""

    folder: Path
    source: str
    git: dict[str, str]
    said: str

    def steps(self, job: str) -> dict[str, str]:
        flow: dict[str, Any] = yaml.safe_load(
            (self.folder / ".github/workflows/bench.yml").read_text("utf-8")
        )
        assert flow["defaults"]["run"]["working-directory"] == "."
        return {step["name"]: step["run"] for step in flow["jobs"][job]["steps"] if "run" in step}


@pytest.fixture(scope="module")
def source(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of what this checkout holds."""
    copy = tmp_path_factory.mktemp("source") / "harness.git"
    unbuilt = shutil.ignore_patterns("build", "*.egg-info")
    shutil.copytree(wheel.parent.with_name("sources-of-the-wheel"), copy, ignore=unbuilt)
    done("git init --quiet && git add --all && git commit --quiet --message All", copy)
    return copy


def type_page(place: Path, source: Path, page: str, environment: dict[str, str]) -> Typed:
    """Type the page in an empty repository, with the address filled in and an index's packages at hand."""
    folder = place / "ours"
    folder.mkdir()
    done("git init --quiet", folder)
    done(f"{sys.executable} -m examples.wine.make --output {place}", ROOT)
    address = f"{PUBLIC}{source.name}@{done('git rev-parse HEAD', source).strip()}"
    fetched = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{source.parent}/.insteadOf",
        "GIT_CONFIG_VALUE_0": PUBLIC,
    }
    assert page.count(PLACEHOLDER) == page.count(MAKES_ENVIRONMENT) == 1
    first, makes, rest = page.replace(PLACEHOLDER, address).partition(MAKES_ENVIRONMENT)
    done(makes, folder)
    bring_packages(folder / ".venv")
    said = done(first + rest, folder, **fetched, **environment)
    return Typed(folder, address, fetched, said)


@pytest.fixture(scope="module")
def typed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Typed:
    """All of the page but its requests, which need the service."""
    return type_page(tmp_path_factory.mktemp("typed"), source, ASKS.sub("", PAGE), NO_ENGINE)


@pytest.mark.nightly
def test_the_page_ends_in_one_commit_of_a_project(typed: Typed) -> None:
    assert done("git status --porcelain", typed.folder) == ""
    assert done("git rev-list --count HEAD", typed.folder).strip() == "1"
    assert [rule.strategy for rule in read_rules(typed.folder / "gate.toml").primaries] == ["onnx"]
    assert "wheel" not in typed.said.partition("project .: ")[2]


@pytest.mark.nightly
@pytest.mark.parametrize("job", ["gate", "full"])
def test_the_workflow_has_the_line_that_the_page_shows(typed: Typed, job: str) -> None:
    script = typed.steps(job)[INSTALLS]
    assert LINE.replace(PLACEHOLDER, typed.source) in script.splitlines()
    assert "harness/" not in script


def clone_of(typed: Typed, place: Path) -> Path:
    """As a runner has it, with a commit after that of the page."""
    done(f"git clone --quiet {typed.folder} {place}", place.parent)
    done("echo >>README.md && git commit --quiet --all --message Changed", place)
    return place


@pytest.mark.nightly
def test_the_steps_of_the_workflow_run_as_they_stand(typed: Typed, tmp_path: Path) -> None:
    """All but the lock's packages, for which there is no index.

    There are no requests and no engine either: one line says what is missing first, and the job fails.
    """
    clone, outputs = clone_of(typed, tmp_path / "clone"), tmp_path / "outputs"
    steps = typed.steps("gate")
    assert list(steps) == [INSTALLS, JUDGES, ENDS]
    rest, from_index = re.subn(
        r"^sh services/tools/install\.sh .*\n", "", steps[INSTALLS], flags=re.MULTILINE
    )
    assert from_index == 1
    done("python3 -m venv --without-pip .venv", clone)
    bring_packages(clone / ".venv")
    done(rest, clone, **typed.git)
    where = done(".venv/bin/python -c 'import bench; print(bench.__file__)'", clone)
    assert Path(where.strip()).is_relative_to(clone / ".venv")
    files = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(outputs)}
    said = done(steps[JUDGES], clone, **NO_ENGINE, **files)
    assert said.startswith("bench: ")
    assert said.count("\n") == 1
    code = outputs.read_text("utf-8").strip().removeprefix("code=")
    ended = sh(steps[ENDS], clone, CODE=code)
    assert code in ("1", "2"), said
    assert ended.returncode == int(code)


@pytest.fixture
def removed(tmp_path: Path) -> Iterator[None]:
    """Ends with no container and no image of the project."""
    yield
    for place in filter(Path.is_dir, (tmp_path / "ours", tmp_path / "clone")):
        done("docker compose down --rmi all --volumes", place)
    done("docker images --quiet 'ours-base/*' | xargs --no-run-if-empty docker rmi --force", tmp_path)


@pytest.mark.engine
@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.usefixtures("removed")
def test_a_pull_request_is_judged_in_containers(source: Path, tmp_path: Path) -> None:
    """The whole page, and then every step of the job in a fresh clone, with a package index and an engine."""
    index = dict.fromkeys(ALONE, "") | {"ONNX_PORT": str(free_port())}
    typed = type_page(tmp_path, source, PAGE, index)
    assert (typed.folder / "requests").is_dir()
    clone, outputs = clone_of(typed, tmp_path / "clone"), tmp_path / "outputs"
    steps = typed.steps("gate")
    done(steps[INSTALLS], clone, **typed.git, **index)
    files = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(outputs)}
    said = done(steps[JUDGES], clone, **files, **index)
    code = outputs.read_text("utf-8").strip().removeprefix("code=")
    # the machine may be too busy to judge by: then nothing is judged, but all was built, started and asked
    assert code in ("0", "3", "4", "5"), said
    assert "onnx" in (tmp_path / "summary").read_text("utf-8")
    ended = sh(steps[ENDS], clone, CODE=code)
    assert ended.returncode == (0 if code in ("0", "5") else int(code))
