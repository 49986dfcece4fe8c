"""What the Dockerfiles must have in common, for images to share what is large."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITH_TORCH = [
    "torch_serving/Dockerfile",
    "batched_serving/Dockerfile",
    "peers/mosec_serving/Dockerfile",
    "docker/publisher.Dockerfile",
]
DOCKERFILES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*/Dockerfile", "peers/*/Dockerfile", "docker/*.Dockerfile")
    for path in ROOT.glob(pattern)
)
STAGE = re.compile(r"^FROM (\S+)(?: AS (\S+))?\n(.*?)(?=^FROM |\Z)", re.MULTILINE | re.DOTALL)


def stages(dockerfile: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Each stage by its name ("" is the last): the image that it begins with, and its instructions."""
    text = (ROOT / dockerfile).read_text(encoding="utf-8")
    return {
        name: (base, tuple(line for line in body.splitlines() if line and not line.startswith("#")))
        for base, name, body in STAGE.findall(text)
    }


@pytest.mark.parametrize("dockerfile", WITH_TORCH[1:])
def test_pytorch_is_installed_by_the_same_instructions_everywhere(dockerfile: str) -> None:
    """The same instructions on the same files make one layer, which is built once and stored once."""
    first, other = stages(WITH_TORCH[0]), stages(dockerfile)
    for name in ("wheels", "install", "torch"):
        assert other[name] == first[name], f"{dockerfile}: {name}"


@pytest.mark.parametrize("dockerfile", WITH_TORCH[:3])
def test_a_service_with_pytorch_begins_with_the_shared_layers(dockerfile: str) -> None:
    found = stages(dockerfile)
    assert found["packages"] == stages(WITH_TORCH[0])["packages"]
    assert found[""][0] == "packages"
    assert found["packages"][0] == "torch"


def test_no_other_image_holds_pytorch() -> None:
    with_torch = {file for file in DOCKERFILES if "torch.txt" in (ROOT / file).read_text(encoding="utf-8")}
    assert with_torch == set(WITH_TORCH)
    assert stages("docker/publisher.Dockerfile")[""][0] == "${BASE_IMAGE}"


def test_onnx_runtime_reports_to_nobody_whatever_runs_in_its_image() -> None:
    locks = [lock for lock in (ROOT / "locks").glob("*.txt") if "\nonnxruntime==" in lock.read_text()]
    for dockerfile in DOCKERFILES:
        text = (ROOT / dockerfile).read_text(encoding="utf-8")
        if any(f"/build/{lock.name}" in text for lock in locks):
            assert any("ORT_DISABLE_TELEMETRY=1" in line for line in stages(dockerfile)[""][1]), dockerfile


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_no_argument_reaches_the_history_of_an_image(dockerfile: str) -> None:
    """An index's address may hold a password, and the history has a stage's arguments beside its commands."""
    found = stages(dockerfile)
    name = ""
    while name in found:
        base, instructions = found[name]
        assert not [line for line in instructions if line.startswith("ARG")], name
        name = base
    assert name in ("${BASE_IMAGE}", "scratch")


@pytest.mark.parametrize("dockerfile", [*WITH_TORCH[:3], "onnx_serving/Dockerfile"])
def test_code_of_the_users_comes_in_and_replaces_nothing_of_ours(dockerfile: str) -> None:
    found = stages(dockerfile)
    assert found["code"] == ("scratch", ())
    copied = [line for line in found["build"][1] if line.startswith("COPY ") and "/app" in line]
    assert copied[0] == "COPY --from=code . /app/"
    assert len(copied) > 1


def test_a_change_of_our_rust_leaves_the_layer_of_its_dependencies_as_it_is() -> None:
    """It copies manifests alone, and those of every crate."""
    manifests = sorted(path.relative_to(ROOT) for path in (ROOT / "rust_serving").glob("*/Cargo.toml"))
    instructions = stages("rust_serving/Dockerfile")["dependencies"][1]
    copied = [line for line in instructions if line.startswith("COPY ")]
    assert len(manifests) >= 4
    assert copied == [
        "COPY rust_serving/Cargo.toml rust_serving/Cargo.lock ./",
        *(f"COPY {manifest} {manifest.parent.name}/" for manifest in manifests),
    ]
