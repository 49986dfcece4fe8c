"""What docker compose makes of the project's files is what bench reads, with and without compose."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from bench.measure.runtime.registry import load_registry

COMPOSE = """
name: forms
services:
  thing:
    image: x
    command: ["python", "thing.py"]
    environment: {VALUE: "${VALUE:-usual}", OWN: own}
    env_file: [{path: service.env, required: false}]
    ports: ["127.0.0.1:${PORT:-8080}:8080"]
    labels: {bench.strategy: thing, bench.port: "8080"}
  peer:
    image: x
    profiles: [peers]
    ports: ["8090:8080"]
    labels: {bench.strategy: peer, bench.port: "8080"}
"""
# .env, and what VALUE and the port are by it
FORMS = {
    "export": ("export VALUE=a\nexport PORT=9090\n", "a", 9090),
    "double quotes": ('VALUE="a b"\nPORT="9090"\n', "a b", 9090),
    "single quotes": ("VALUE='a $X b'\nPORT='9090'\n", "a $X b", 9090),
    "a comment behind": ("VALUE=a # not b\nPORT=9090 # c\n", "a", 9090),
    "a sign that starts no comment": ("VALUE=a#b\n", "a#b", 8080),
    "a sign in quotes": ('VALUE="a # b"\n', "a # b", 8080),
    "spaces around": ("VALUE = a \n PORT =  9090\n", "a", 9090),
    "another variable": ("BASE=9\nVALUE=${BASE}z\nPORT=${BASE}090\n", "9z", 9090),
    "a default": ("VALUE=${NONE:-b}\nPORT=${NONE:-9090}\n", "b", 9090),
    "several lines": ('VALUE="a\nb"\nPORT=9090\n', "a\nb", 9090),
    "carriage returns": ("VALUE=a\r\nPORT=9090\r\n", "a", 9090),
    "a byte order mark": ("\ufeffVALUE=a\nPORT=9090\n", "a", 9090),
    "an escaped line end": ('VALUE="a\\nb"\n', "a\nb", 8080),
    "empty": ("VALUE=\nPORT=\n", "usual", 8080),
    "an equals sign": ("VALUE=a=b\n", "a=b", 8080),
    "twice": ("VALUE=a\nVALUE=b\n", "b", 8080),
    "quotes within": ("VALUE=a'b\"c\n", "a'b\"c", 8080),
    "quotes of the other kind": ("VALUE='\"a\"'\n", '"a"', 8080),
}
# what compose knows and python-dotenv does not
OF_COMPOSE = {
    "a colon": ("VALUE: a\nPORT: 9090\n", "a", 9090),
    "no braces": ("BASE=9\nVALUE=$BASE\nPORT=9090\n", "9", 9090),
    "an alternative": ("BASE=9\nVALUE=${BASE:+yes}\n", "yes", 8080),
    "an escaped dollar sign": ('VALUE="a\\$b"\n', "a$b", 8080),
}
has_compose = (
    shutil.which("docker") is not None
    and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
)
needs_compose = pytest.mark.skipif(not has_compose, reason="docker has no compose plug-in here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    return tmp_path


@pytest.fixture
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = tmp_path / "no-programs"
    nothing.mkdir()
    monkeypatch.setenv("PATH", str(nothing))


def read(folder: Path, **environment: str) -> Any:
    return load_registry(folder, environment).services["thing"]


def told(folder: Path, **environment: str) -> tuple[str, int | None]:
    thing = read(folder, **environment)
    return thing.environment["VALUE"], thing.published


def by_compose(folder: Path, **environment: str) -> tuple[str, int | None]:
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PWD": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    thing = json.loads(done.stdout)["services"]["thing"]
    return thing["environment"]["VALUE"].replace("$$", "$"), int(thing["ports"][0]["published"])


@needs_compose
@pytest.mark.parametrize("form", [*FORMS, *OF_COMPOSE])
def test_a_form_of_dot_env_means_what_it_means_to_compose(folder: Path, form: str) -> None:
    text, value, port = {**FORMS, **OF_COMPOSE}[form]
    (folder / ".env").write_bytes(text.encode())
    assert by_compose(folder) == told(folder) == (value, port)


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize("form", FORMS)
def test_without_compose_python_dotenv_reads_the_same(folder: Path, form: str) -> None:
    text, value, port = FORMS[form]
    (folder / ".env").write_bytes(text.encode())
    assert told(folder) == (value, port)


@needs_compose
def test_an_override_file_counts(folder: Path) -> None:
    (folder / "compose.override.yaml").write_text("services: {thing: {environment: {VALUE: over}}}")
    assert by_compose(folder) == told(folder) == ("over", 8080)


@needs_compose
def test_the_files_that_are_named_count(folder: Path) -> None:
    (folder / "more.yaml").write_text("services: {thing: {environment: {VALUE: more}}}")
    named = {"COMPOSE_FILE": f"compose.yaml{os.pathsep}more.yaml"}
    assert by_compose(folder, **named) == told(folder, **named) == ("more", 8080)
    (folder / ".env").write_text("COMPOSE_FILE=compose.yaml,more.yaml\nCOMPOSE_PATH_SEPARATOR=,\n")
    assert by_compose(folder) == told(folder) == ("more", 8080)


@needs_compose
def test_the_folder_is_the_project_s_wherever_bench_is_run(folder: Path) -> None:
    (folder / "compose.yaml").write_text(COMPOSE.replace("${VALUE:-usual}", "${PWD}"))
    assert told(folder, **{"PWD": "/elsewhere"})[0] == by_compose(folder)[0] == str(folder.resolve())


@needs_compose
def test_another_file_of_variables_counts(folder: Path) -> None:
    (folder / "other.env").write_text("VALUE=other\n")
    (folder / ".env").write_text("VALUE=usual\n")
    named = {"COMPOSE_ENV_FILES": "other.env"}
    assert by_compose(folder, **named) == told(folder, **named) == ("other", 8080)


@needs_compose
def test_what_is_included_or_extended_counts(folder: Path) -> None:
    (folder / "part.yaml").write_text(
        'services: {thing: {image: x, environment: {VALUE: "${VALUE:-part}"}, ports: ["1.0.0.1:8081:8080"], '
        'labels: {bench.strategy: thing, bench.port: "8080"}}}'
    )
    whole = folder / "whole"
    whole.mkdir()
    (whole / "compose.yaml").write_text("include: [../part.yaml]")
    assert told(whole) == ("part", 8081)
    (whole / "compose.yaml").write_text(
        "services: {thing: {extends: {file: ../part.yaml, service: thing}, environment: {VALUE: mine}}}"
    )
    assert told(whole) == ("mine", 8081)


@needs_compose
def test_profiles_and_the_project_name_are_compose_s(folder: Path) -> None:
    def usual(**environment: str) -> tuple[str, list[str]]:
        registry = load_registry(folder, environment)
        return registry.project, [one.name for one in registry.select(None)]

    assert usual() == ("forms", ["thing"])
    assert sorted(usual(COMPOSE_PROFILES="peers")[1]) == ["peer", "thing"]
    assert usual(COMPOSE_PROJECT_NAME="mine")[0] == "mine"
    (folder / ".env").write_text("COMPOSE_PROFILES=peers\nCOMPOSE_PROJECT_NAME=ours\n")
    assert (usual()[0], sorted(usual()[1])) == ("ours", ["peer", "thing"])


@needs_compose
def test_what_compose_refuses_is_one_line_that_says_why(folder: Path) -> None:
    (folder / ".env").write_text("VALUE='never closed\n")
    with pytest.raises(UsageError, match=r"unterminated quoted value") as refused:
        load_registry(folder, {})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("with_compose", [pytest.param(True, marks=needs_compose), False])
def test_the_variable_of_a_port_is_known(
    folder: Path, with_compose: bool, request: pytest.FixtureRequest
) -> None:
    if not with_compose:
        request.getfixturevalue("no_docker")
    assert read(folder).port_variable == "PORT"
    for ports in ("${ADDRESS:-127.0.0.1}:${PORT:-8080}:8080", "127.0.0.1:${PORT-8080}:8080/tcp"):
        (folder / "compose.yaml").write_text(COMPOSE.replace("127.0.0.1:${PORT:-8080}:8080", ports))
        assert read(folder).port_variable == "PORT"
    (folder / "compose.yaml").write_text(COMPOSE.replace("${PORT:-8080}", "8080"))
    assert read(folder).port_variable is None


@pytest.mark.parametrize("with_compose", [pytest.param(True, marks=needs_compose), False])
def test_an_env_file_sets_what_the_stanza_leaves(
    folder: Path, with_compose: bool, request: pytest.FixtureRequest
) -> None:
    if not with_compose:
        request.getfixturevalue("no_docker")
    assert "NEW" not in read(folder).environment
    (folder / "service.env").write_text("NEW='a b' # c\nOWN=file\nOUTSIDE\nexport MORE=1\n")
    found = read(folder, OUTSIDE="outside").environment
    assert {name: found[name] for name in ("NEW", "OWN", "OUTSIDE", "MORE")} == {
        "NEW": "a b",
        "OWN": "own",
        "OUTSIDE": "outside",
        "MORE": "1",
    }
    (folder / "later.env").write_text("NEW=later\n")
    several = "env_file: [service.env, ./later.env]"
    stanza = "env_file: [{path: service.env, required: false}]"
    (folder / "compose.yaml").write_text(COMPOSE.replace(stanza, several))
    assert read(folder).environment["NEW"] == "later"
    (folder / "compose.yaml").write_text(COMPOSE.replace(stanza, "env_file: later.env"))
    assert read(folder).environment["NEW"] == "later"
    (folder / "later.env").unlink()
    with pytest.raises(UsageError, match=r"later\.env"):
        read(folder)


@pytest.mark.usefixtures("no_docker")
def test_without_compose_a_raw_env_file_is_taken_as_it_stands(folder: Path) -> None:
    (folder / "service.env").write_text("NEW='a $b' # c\n")
    raw = COMPOSE.replace("required: false", "required: false, format: raw")
    (folder / "compose.yaml").write_text(raw)
    assert read(folder).environment["NEW"] == "'a $b' # c"


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("compose.override.yaml", "{}", r"compose\.override\.yaml is here"),
        (".env", "COMPOSE_FILE=compose.yaml:b.yaml", "COMPOSE_FILE names 2 files"),
        ("compose.yaml", "include: [a.yaml]\nservices: {}", "includes other files"),
        ("compose.yaml", "services: {a: {extends: b}}", "a extends another service"),
    ],
)
def test_without_compose_what_only_compose_can_merge_is_refused(
    folder: Path, name: str, text: str, message: str
) -> None:
    (folder / name).write_text(text)
    with pytest.raises(
        UsageError, match=message + r".*only docker compose can merge that: there is no docker"
    ):
        load_registry(folder, {})


@pytest.mark.usefixtures("no_docker")
def test_without_compose_one_file_may_be_named(folder: Path) -> None:
    (folder / "compose.override.yaml").write_text("{}")
    (folder / "compose.yaml").rename(folder / "other.yaml")
    assert told(folder, COMPOSE_FILE="other.yaml") == ("usual", 8080)
    registry = load_registry(folder, {"COMPOSE_FILE": "other.yaml", "COMPOSE_PROFILES": "peers"})
    assert [one.name for one in registry.select(None)] == ["thing", "peer"]
    assert "there is no docker command here" in registry.file.note


@pytest.mark.parametrize("verb", ["plan"])
def test_without_compose_a_verb_says_so_in_one_line(project: Path, tmp_path: Path, verb: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", verb, "--root", project],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PATH": str(tmp_path / "nothing")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "there is no docker command here" in line
    assert "install" in line
