"""compose.yaml is the registry: what compose reads from it, bench reads from it too."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.measure.runtime.registry import interpolate, load_registry

ENVIRONMENT = {"SET": "value", "EMPTY": "", "OTHER": "else"}
CASES = {
    "plain": "plain",
    "$SET": "value",
    "${SET}": "value",
    "a${SET}b$OTHER!": "avaluebelse!",
    "${UNSET}": "",
    "${UNSET:-default}": "default",
    "${UNSET-default}": "default",
    "${EMPTY:-default}": "default",
    "${EMPTY-default}": "",
    "${SET:-default}": "value",
    "${UNSET:-${OTHER}}": "else",
    "${UNSET:-a${EMPTY:-${SET}}c}": "avaluec",
    "${UNSET:-}": "",
    "${SET:+yes}": "yes",
    "${EMPTY:+yes}": "",
    "${EMPTY+yes}": "yes",
    "${UNSET+yes}": "",
    "${SET:?needed}": "value",
    "$$SET": "$SET",
    "gs://models/${UNSET:-x}/y": "gs://models/x/y",
}


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_interpolation_follows_compose(text: str, expected: str) -> None:
    assert interpolate(text, ENVIRONMENT) == expected


@pytest.mark.parametrize("text", ["${UNSET:?set it}", "${", "${SET", "${-x}", "$ alone", "${SET!x}"])
def test_what_compose_refuses_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(UsageError, match=r"compose\.yaml"):
        interpolate(text, ENVIRONMENT)


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command to compare with")
def test_interpolation_gives_what_docker_compose_gives(tmp_path: Path) -> None:
    environment = {f"V{n}": text for n, text in enumerate(CASES)}
    (tmp_path / "compose.yaml").write_text(
        json.dumps({"services": {"a": {"image": "a", "environment": environment}}})
    )
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(tmp_path), **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and "is not a docker command" in done.stderr:
        pytest.skip("docker has no compose plug-in here")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["services"]["a"]["environment"]
    # config escapes dollar signs again, as its output is a compose file
    assert {n: value.replace("$$", "$") for n, value in found.items()} == {
        f"V{n}": expected for n, expected in enumerate(CASES.values())
    }


def test_labels_become_strategies_and_support(project: Path) -> None:
    registry = load_registry(project, {})
    assert list(registry.strategies) == ["fast", "slow"]
    fast = registry.strategies["fast"]
    assert (fast.service, fast.port, fast.title) == ("fast-service", 8080, "The fast stub")
    assert (fast.encodings, fast.model) == (("json", "raw"), "stub")
    assert fast.loop_command == ("python", "stub_strategy.py", "loop")
    assert [service.name for service in registry.support([fast])] == ["helper"]


def test_what_only_other_strategies_depend_on_is_not_started(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("""
services:
  store: {labels: {bench.role: support}}
  publisher: {depends_on: [store], labels: {bench.role: setup}}
  watcher: {labels: {bench.role: support}}
  a: {depends_on: [publisher], labels: {bench.strategy: a, bench.port: 9}}
  b: {labels: {bench.strategy: b, bench.port: 9}}
""")
    registry = load_registry(tmp_path, {})
    a, b = (registry.strategies[name] for name in "ab")
    needed = {"a": [a], "b": [b], "both": [a, b]}
    assert {
        name: [service.name for service in registry.support(chosen)] for name, chosen in needed.items()
    } == {
        "a": ["store", "publisher", "watcher"],
        "b": ["watcher"],
        "both": ["store", "publisher", "watcher"],
    }


def test_a_strategy_is_added_by_a_stanza_alone(project: Path) -> None:
    with (project / "compose.yaml").open("a") as file:
        file.write('\n  third:\n    image: x\n    labels: ["bench.strategy=third", "bench.port=9"]\n')
    assert list(load_registry(project, {}).strategies) == ["fast", "slow", "third"]


def test_a_strategy_without_the_labels_takes_json_and_calls_its_model_model(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {a: {labels: {bench.strategy: a, bench.port: 9}}}")
    only = load_registry(tmp_path, {}).strategies["a"]
    assert (only.encodings, only.model) == (("json",), "model")


def test_a_strategy_with_a_profile_is_taken_when_it_is_named(project: Path) -> None:
    with (project / "compose.yaml").open("a") as file:
        file.write(
            '\n  third:\n    profiles: [peers]\n    labels: ["bench.strategy=third", "bench.port=9"]\n'
        )
    registry = load_registry(project, {})
    assert [strategy.name for strategy in registry.select(None)] == ["fast", "slow"]
    assert [strategy.name for strategy in registry.select(["third", "fast"])] == ["fast", "third"]
    with pytest.raises(UsageError, match=r"registers fast, slow, third"):
        registry.select(["fourth"])


def test_where_all_strategies_have_profiles_some_must_be_named(tmp_path: Path) -> None:
    stanza = "{profiles: [peers], labels: {bench.strategy: only, bench.port: 9}}"
    (tmp_path / "compose.yaml").write_text(f"services: {{a: {stanza}}}")
    with pytest.raises(UsageError, match="--strategies only"):
        load_registry(tmp_path, {}).select(None)


def test_the_published_port_and_its_variable_are_known(project: Path) -> None:
    service = load_registry(project, {"FAST_PORT": "18081"}).services["fast-service"]
    assert (service.published, service.port_variable) == (18081, "FAST_PORT")


def test_dot_env_is_read_and_the_environment_goes_first(project: Path) -> None:
    (project / ".env").write_text("# a comment\nFAST_PORT=19001\nSLOW_PORT='19002'\n")
    registry = load_registry(project, {"SLOW_PORT": "19003"})
    assert registry.services["fast-service"].published == 19001
    assert registry.services["slow-service"].published == 19003


def test_an_unknown_strategy_is_answered_with_the_known_ones(project: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown strategy fats: .* registers fast, slow"):
        load_registry(project, {}).select(["fats"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: {a: {image: x}}", "registers no strategy"),
        ("name: x", "has no services"),
        ("services: [", "is not YAML"),
        ("services: {a: {labels: {bench.strategy: a}}}", "bench.port"),
        (
            'services: {a: {labels: {bench.strategy: a, bench.port: 9, bench.payloads: "json,jsn"}}}',
            r"a's label bench\.payloads: unknown encoding jsn: there are json, raw",
        ),
    ],
)
def test_an_unusable_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_registry(tmp_path, {})


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--root"):
        load_registry(tmp_path, {})


HOSTILE = [
    "cpu|int8",
    r"$\bad$",
    "a b",
    " a",
    "-rf",
    ".",
    "..",
    "../a",
    "a/b",
    "a@base",
    "=1+1",
    "`a`",
    "<b>",
    "[a](b)",
    "a\nb",
    "a\x1b[31m",
    "a\u202eb",
    "caf\u00e9",
    "\u0662",
    "a" * 65,
    "",
    "_a",
    "::error::",
]


def registered(root: Path, labels: dict[str, str], service: str = "a") -> None:
    stanza = {"labels": {"bench.strategy": "a", "bench.port": "9", **labels}}
    (root / "compose.yaml").write_text(json.dumps({"services": {service: stanza}}).replace("$", "$$"))
    load_registry(root, {})


@pytest.mark.parametrize("label", ["bench.strategy", "bench.model"])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_that_some_report_or_file_would_misread_is_refused(
    tmp_path: Path, label: str, text: str
) -> None:
    with pytest.raises(UsageError, match=rf"^compose\.yaml: a's label {label} is .*: use 1 to 64") as refused:
        registered(tmp_path, {label: text})
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["torch", "onnx-int8", "v1.2_x", "9"])
def test_an_ordinary_name_is_taken(tmp_path: Path, name: str) -> None:
    registered(tmp_path, {"bench.strategy": name, "bench.model": name, "bench.title": "Caf\u00e9 | $x$ <b>"})


@pytest.mark.parametrize("title", ["", " ", "two\nlines", "a\x1b[31m", "a\u202eb", "a\u2028b", "x" * 121])
def test_a_title_is_one_printable_line(tmp_path: Path, title: str) -> None:
    with pytest.raises(UsageError, match=r"label bench\.title is .*: write one line"):
        registered(tmp_path, {"bench.title": title})


@pytest.mark.parametrize("label", ["bench.path", "bench.ready"])
@pytest.mark.parametrize("path", ["predict", "", "/a b", "/a\r\nX: b", "/caf\u00e9", "http://a/", "/" * 1026])
def test_a_path_is_one_that_a_request_can_have(tmp_path: Path, label: str, path: str) -> None:
    with pytest.raises(UsageError, match=rf"label {label} is .*: write a path"):
        registered(tmp_path, {label: path})


@pytest.mark.parametrize("service", ["a|b", "a\nb", "../a"])
def test_a_service_s_name_is_checked_too(tmp_path: Path, service: str) -> None:
    with pytest.raises(UsageError, match="is not a service's name"):
        registered(tmp_path, {}, service)


@pytest.mark.parametrize("port", ["\u00b2", "\u0669", "0", "65536", "1" * 5000, "-1", "8_0", " 80", ""])
def test_a_port_is_a_number_of_ascii_digits_in_range(tmp_path: Path, port: str) -> None:
    with pytest.raises(UsageError, match=r"needs the label bench\.port"):
        registered(tmp_path, {"bench.port": port})


@pytest.mark.parametrize("tolerance", ["nan", "inf", "-0", "1_0", "\u00b2", "0x1", "", "1.1", "9" * 5000])
def test_a_tolerance_is_a_number_from_0_to_1(tmp_path: Path, tolerance: str) -> None:
    with pytest.raises(UsageError, match=r"label bench\.tolerance is .*write a number"):
        registered(tmp_path, {"bench.tolerance": tolerance})


def test_two_services_cannot_be_one_strategy(tmp_path: Path) -> None:
    labels = "{labels: {bench.strategy: a, bench.port: 9}}"
    (tmp_path / "compose.yaml").write_text(f"services: {{one: {labels}, other: {labels}}}")
    with pytest.raises(UsageError, match="one and other have the same label"):
        load_registry(tmp_path, {})


def test_a_file_that_is_nested_without_end_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("[" * 100_000)
    with pytest.raises(UsageError, match=r"^compose\.yaml ") as refused:
        load_registry(tmp_path, {})
    assert "\n" not in str(refused.value)
