"""A project's compose.yaml agrees with this repository's, but in what a project is for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.measure.runtime.registry import load_registry
from bench.project.compose_text import project_compose
from bench.project.project_plan import USUAL, ProjectPlan

ROOT = Path(__file__).parents[2]
OURS = (ROOT / "compose.yaml").read_text(encoding="utf-8")
PLAN = ProjectPlan("prices", "price-of-houses", dict(USUAL))
STORE = {"path": "/models", "uri": "file:///models"}


def stanzas(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def differences(ours: Any, theirs: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """The paths at which two trees differ, with what each has there."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in ours.keys() | theirs.keys():
            found |= differences(ours.get(key), theirs.get(key), f"{path}/{key}")
        return found
    return {} if ours == theirs else {path: (ours, theirs)}


@pytest.mark.parametrize("name", ["torch", "onnx", "batched"])
def test_a_stanza_differs_from_ours_in_the_model_and_the_store_alone(name: str) -> None:
    """Hardening, limits, health, command, ports and all other labels are the same."""
    theirs = stanzas(project_compose(OURS, PLAN))[f"{name}_serving"]
    found = differences(stanzas(OURS)[f"{name}_serving"], theirs)
    variable, form = ("ONNX", "model.onnx") if name == "onnx" else ("TORCH", "program.pt2")
    credentials = "${GOOGLE_APPLICATION_CREDENTIALS:-/dev/null}:/run/secrets/google-credentials.json:ro"
    no_proxy = "localhost,127.0.0.1,::1,${NO_PROXY:-},${no_proxy:-}"
    assert {path: value for path, (_, value) in found.items()} == {
        "/image": f"prices/{name}_serving",
        "/build/context": "services",
        "/build/additional_contexts/wheels": "${WHEELS_DIR:-${PIP_FIND_LINKS:-./services/wheels}}",
        "/depends_on": None,
        "/networks": ["front"],
        "/volumes": ["./model:/models:ro", credentials],
        "/environment/LOCAL_STORE": None,
        "/environment/NO_PROXY": no_proxy,
        "/environment/no_proxy": no_proxy,
        f"/environment/{variable}_MODEL_URI": f"${{{variable}_MODEL_URI:-file:///models/{form}}}",
        "/labels/bench.cache": None,
        "/labels/bench.model": "price-of-houses",
    }


def test_the_networks_are_those_that_services_are_in() -> None:
    ours, theirs = yaml.safe_load(OURS), yaml.safe_load(project_compose(OURS, PLAN))
    assert theirs["networks"] == {"front": ours["networks"]["front"]}
    assert theirs["name"] == "prices"


def test_a_model_elsewhere_opens_the_way_out_and_keeps_its_cache() -> None:
    plan = ProjectPlan("prices", "m", {".onnx": "gs://bucket/m/model.onnx"})
    tree = yaml.safe_load(project_compose(OURS, plan))
    (service,) = tree["services"].values()
    assert "dns" not in service
    assert service["labels"]["bench.cache"] == stanzas(OURS)["onnx_serving"]["labels"]["bench.cache"]
    assert service["environment"]["ONNX_MODEL_URI"] == "${ONNX_MODEL_URI:-gs://bucket/m/model.onnx}"
    options = tree["networks"]["front"]["driver_opts"]
    assert options == {"com.docker.network.bridge.enable_ip_masquerade": "true"}
    remote = (ROOT / "compose.remote.yaml").read_text(encoding="utf-8").replace("!reset ", "")
    assert options == yaml.safe_load(remote)["networks"]["front"]["driver_opts"]


@pytest.mark.parametrize("name", ["t", "true", "123", "null"])
def test_a_name_that_yaml_takes_for_something_else_stays_a_name(name: str) -> None:
    plan = ProjectPlan(name, "$HOME: 'x'", dict(USUAL))
    tree = yaml.safe_load(project_compose(OURS, plan))
    assert tree["name"] == name
    assert tree["services"]["onnx_serving"]["labels"]["bench.model"] == "$$HOME: 'x'"


def test_a_strategy_of_ones_own_is_registered_once_its_marks_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = project_compose(OURS, PLAN)
    before, _, own = text.partition("  # my_serving:\n")
    lines = ["  my_serving:", *(line.replace("  # ", "  ", 1) for line in own.splitlines())]
    (tmp_path / "compose.yaml").write_text(before + "\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setenv("PATH", "")  # read without docker
    registry = load_registry(tmp_path)
    assert list(registry.strategies) == ["torch", "onnx", "batched", "mine"]
    assert registry.services["my_serving"].published == 8083


def test_a_repository_that_changed_is_refused_and_not_half_rewritten() -> None:
    changed = OURS.replace("LOCAL_STORE: models.local", "LOCAL_STORE: models.elsewhere")
    with pytest.raises(ValueError, match="0 times and not once"):
        project_compose(changed, PLAN)


def test_a_model_of_tensors_has_no_pictures_to_be_nearly_right_about() -> None:
    """The graph of onnx transforms pictures in a way of its own, which is why it declares less than exact."""
    assert stanzas(OURS)["onnx_serving"]["labels"]["bench.quality"] == "bounded 0.05"
    declared = {}
    for encodings in (None, ("json", "raw"), ("json", "oip-json")):
        plan = ProjectPlan("prices", "m", dict(USUAL), encodings)
        text = project_compose(OURS, plan)
        labels = {name: one["labels"] for name, one in stanzas(text).items()}
        declared[encodings] = {
            name: one["bench.quality"] for name, one in labels.items() if "bench.quality" in one
        }
        assert ("without rounding" in text) is bool(declared[encodings])
    assert declared[None] == declared["json", "raw"] == {"onnx_serving": "bounded 0.05"}
    assert declared["json", "oip-json"] == {}
