"""What compose.yaml makes of settings, failures and stops, as `docker compose config` tells it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from serving_core.process import push, supervisor
from serving_core.settings import Settings

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
OF_ONNX = ("onnx_pillow_serving", "onnx_simd_serving", "onnx_native_serving", "onnx_scaled_serving")
CROPPING = (*OF_ONNX, "batched_onnx_serving", "batched_native_serving")
OF_OPENVINO = ("openvino_serving", "openvino_bf16_serving")
OF_TORCH = ("torch_channels_last_serving", "torch_fused_serving", "torch_aot_serving")
ENGINES = ("onnx_int8_serving", *OF_OPENVINO, *OF_TORCH)
SERVICES = (
    *("torch_serving", "onnx_serving", "batched_serving", "rust_serving"),
    *CROPPING,
    *ENGINES,
)
# what compose itself sets of some services alone
FIXED_OF = {
    **{name: {"PIXELS"} for name in (*CROPPING, "onnx_int8_serving")},
    **{name: {"COMPUTE"} for name in OF_TORCH},
    **{name: {"PIXELS", "ENGINE", "PRECISION"} for name in OF_OPENVINO},
}
# what compose itself sets
FIXED = {"PORT", "MODEL_CACHE_DIR", "LOCAL_STORE"}
INTERNAL = {"SERVICE", "MODEL_URI", "MODEL_URI_VARIABLE"}
SETTINGS = {name.upper() for name in Settings.model_fields} - FIXED - INTERNAL


WITH_PROFILES = ("--profile", "rust", "--profile", "native", "--profile", "engines")


def configured(folder: Path) -> dict[str, Any]:
    """Return the services of compose.yaml, with what lies in `folder` beside it."""
    shutil.copy(ROOT / "compose.yaml", folder)
    command = ["docker", "compose", *WITH_PROFILES, "config", "--format", "json"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    services: dict[str, Any] = json.loads(made.stdout)["services"]
    return {name: services[name] for name in SERVICES}


def test_every_setting_reaches_every_service(tmp_path: Path) -> None:
    given = {name: f"given-{name}" for name in SETTINGS | FIXED}
    (tmp_path / "service.env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    for name, service in configured(tmp_path).items():
        found, fixed = service["environment"], FIXED | FIXED_OF.get(name, set())
        theirs = SETTINGS - fixed
        assert {name: found.get(name) for name in theirs} == {name: given[name] for name in theirs}
        assert {found[name] for name in fixed}.isdisjoint(given.values())


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    for name, service in configured(tmp_path).items():
        assert service["environment"].keys() & SETTINGS <= FIXED_OF.get(name, set())


def test_a_service_that_fails_is_restarted_however_often_it_did(tmp_path: Path) -> None:
    assert {service["restart"] for service in configured(tmp_path).values()} == {"on-failure"}


def test_a_stop_is_given_the_time_that_it_may_take(tmp_path: Path) -> None:
    given = Settings(service="test", model_uri="file:///x")
    longest_s = given.grace_s + given.drain_linger_s + supervisor.MARGIN_S + 2 * push.TIMEOUT_S
    for service in configured(tmp_path).values():
        assert float(service["stop_grace_period"].removesuffix("s")) > longest_s


def whole(folder: Path, *options: str, **environment: str) -> dict[str, Any]:
    """Return all that compose makes of the repository's files in an empty folder."""
    for file in ("compose.yaml", "compose.remote.yaml"):
        shutil.copy(ROOT / file, folder)
    command = ["docker", "compose", "--profile", "*", *options, "config", "--format", "json"]
    own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    made = subprocess.run(
        command,
        cwd=folder,
        env={**own, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert made.stderr == ""
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def test_memory_is_no_more_with_swap_and_logs_end(tmp_path: Path) -> None:
    for name, service in whole(tmp_path, SERVICE_MEMORY="3g")["services"].items():
        assert service["memswap_limit"] == service["mem_limit"], name
        logged = service["logging"]
        assert logged["driver"] == "json-file", name
        assert {"max-size", "max-file"} <= logged["options"].keys(), name


def test_cores_are_limited_if_asked_for(tmp_path: Path) -> None:
    for cpus, expected in (("", None), ("1.5", 1.5)):
        found = whole(tmp_path, SERVICE_CPUS=cpus)["services"]
        assert {found[name].get("cpus") for name in SERVICES} == {expected}


def test_the_base_image_may_have_a_digest(tmp_path: Path) -> None:
    pinned = f"python:3.11-slim-bookworm@sha256:{'0' * 64}"
    found = whole(tmp_path, BASE_IMAGE=pinned)["services"]
    assert {service["build"]["args"]["BASE_IMAGE"] for service in found.values()} == {pinned}


@pytest.mark.parametrize(
    "own", [{}, {"NO_PROXY": "a.example"}, {"no_proxy": "b.example", "NO_PROXY": "a.example"}]
)
def test_no_proxy_stands_before_what_is_inside(tmp_path: Path, own: dict[str, str]) -> None:
    for name, service in whole(tmp_path, **own)["services"].items():
        if name == "model-store":
            continue  # it asks nobody
        for variable in ("NO_PROXY", "no_proxy"):
            hosts = set(service["environment"][variable].split(","))
            assert {"model-store", "localhost", "127.0.0.1", *own.values()} <= hosts, name


def test_services_have_no_way_out_unless_their_models_are_elsewhere(tmp_path: Path) -> None:
    key = "com.docker.network.bridge.enable_ip_masquerade"
    for options, hidden in (((), "false"), (("-f", "compose.yaml", "-f", "compose.remote.yaml"), "true")):
        found = whole(tmp_path, *options)
        networks, services = found["networks"], found["services"]
        assert networks["front"]["driver_opts"][key] == hidden
        assert networks["models"]["internal"] is networks["publishing"]["internal"] is True
        assert set(services["model-publisher"]["networks"]) == {"publishing"}
        assert set(services["model-compiler"]["networks"]) == {"publishing"}
        strategies = {name: one for name, one in services.items() if "bench.strategy" in one["labels"]}
        assert len(strategies) >= len(SERVICES)
        for name, service in strategies.items():
            assert set(service["networks"]) == {"models", "front"}, name
            assert bool(service.get("dns")) == (hidden == "false"), name


def test_the_control_without_batching_is_batched_serving_in_all_else() -> None:
    command = ["docker", "compose", "config", "--format", "json", "batched_serving", "unbatched_serving"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    services = json.loads(made.stdout)["services"]
    batched, unbatched = services["batched_serving"], services["unbatched_serving"]
    assert unbatched["environment"] == {**batched["environment"], "MAX_BATCH": "1"}
    own = ("environment", "image", "labels", "ports", "profiles")
    assert {k: v for k, v in unbatched.items() if k not in own} == {
        k: v for k, v in batched.items() if k not in own
    }


@pytest.mark.parametrize("pixels", ["pillow", "simd", "native", "scaled"])
def test_a_service_that_prepares_the_crop_is_onnx_serving_in_all_else(pixels: str, tmp_path: Path) -> None:
    """Their engine, threads and limits are those of onnx, so that a comparison is one of crops."""
    services = whole(tmp_path)["services"]
    onnx, variant = services["onnx_serving"], services[f"onnx_{pixels}_serving"]
    uri = services["rust_serving"]["environment"]["ONNX_NETWORK_URI"]
    assert variant["environment"] == {**onnx["environment"], "ONNX_MODEL_URI": uri, "PIXELS": pixels}
    assert variant["build"]["context"] == onnx["build"]["context"]
    own = ("build", "environment", "image", "labels", "ports", "profiles")
    assert {k: v for k, v in variant.items() if k not in own} == {
        k: v for k, v in onnx.items() if k not in own
    }
    alike = {
        **onnx["labels"],
        "bench.strategy": f"onnx_{pixels}",
        "bench.title": variant["labels"]["bench.title"],
    }
    # Pillow's crop, and that of the crate, are the reference's
    alike["bench.quality"] = "exact" if pixels in ("pillow", "native") else "bounded 0.05"
    assert variant["labels"] == alike


@pytest.mark.parametrize(("strategy", "pixels"), [("batched_onnx", "simd"), ("batched_native", "native")])
def test_batching_on_onnx_runtime_takes_its_own_address_whatever_the_other_is(
    strategy: str, pixels: str, tmp_path: Path
) -> None:
    (tmp_path / "service.env").write_text("TORCH_MODEL_URI=gs://bucket/weights.safetensors\n")
    services = whole(tmp_path)["services"]
    batched, ours = services["batched_serving"], services[f"{strategy}_serving"]
    onnx = services[f"onnx_{pixels}_serving"]["environment"]
    assert ours["environment"] == {**onnx, "TORCH_MODEL_URI": ""}
    own = ("build", "environment", "image", "labels", "ports", "profiles")
    assert {k: v for k, v in ours.items() if k not in own} == {
        k: v for k, v in batched.items() if k not in own
    }


@pytest.mark.parametrize(
    ("variant", "like", "settings", "allowed"),
    [
        ("openvino_bf16", "openvino", {"PRECISION": "bf16"}, {"labels"}),
        ("torch_channels_last", "torch", {"COMPUTE": "channels_last"}, set()),
        ("torch_fused", "torch", {"COMPUTE": "fused"}, set()),
        ("torch_aot", "torch", {"COMPUTE": "aot"}, {"tmpfs", "depends_on"}),
    ],
)
def test_another_engine_is_the_same_service_in_all_else(
    variant: str, like: str, settings: dict[str, str], allowed: set[str], tmp_path: Path
) -> None:
    services = whole(tmp_path)["services"]
    one, other = services[f"{like}_serving"], services[f"{variant}_serving"]
    uri = {name: value for name, value in other["environment"].items() if name.endswith("_MODEL_URI")}
    assert other["environment"] == {**one["environment"], **uri, **settings}
    own = {"environment", "image", "labels", "ports", "profiles", *allowed}
    assert {k: v for k, v in other.items() if k not in own} == {k: v for k, v in one.items() if k not in own}


def test_only_what_compiles_or_loads_compiled_code_may_run_what_lies_in_its_tmp(tmp_path: Path) -> None:
    """Docker forbids it for a tmpfs unless it is asked."""
    may = {
        name
        for name, service in whole(tmp_path)["services"].items()
        if any("exec" in entry.split(":")[-1].split(",") for entry in service["tmpfs"])
    }
    assert may == {"torch_aot_serving", "model-compiler"}


def test_no_two_services_publish_one_port(tmp_path: Path) -> None:
    services = whole(tmp_path)["services"].values()
    ports = [port["published"] for one in services for port in one.get("ports", [])]
    assert len(ports) == len(set(ports)) == sum("bench.strategy" in one["labels"] for one in services)


def test_what_has_a_profile_comes_up_only_when_it_is_named(tmp_path: Path) -> None:
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    listed = ["docker", "compose", "config", "--services"]
    made = subprocess.run(listed, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    with_profiles = {"unbatched_serving", "mosec_serving", "rust_serving", *CROPPING, *ENGINES}
    assert not with_profiles & set(made.stdout.split())
    assert set(SERVICES) - with_profiles <= set(made.stdout.split())
