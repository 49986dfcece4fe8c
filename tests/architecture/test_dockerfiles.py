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
    "docker/compiler.Dockerfile",
]
WITH_RUST = ["rust_serving/Dockerfile", "onnx_serving/native.Dockerfile", "batched_serving/native.Dockerfile"]
# what builds a wheel, and is of no crate
MAKER_OF_WHEELS = (
    "COPY --from=maturin /opt/maturin/bin/maturin /usr/local/bin/",
    "COPY rust_serving/python/pyproject.toml python/",
)
DOCKERFILES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*/Dockerfile", "*/*.Dockerfile", "peers/*/Dockerfile")
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


def of_the_image(dockerfile: str) -> list[str]:
    """The instructions of the last stage, and of the stages that it begins with."""
    found, instructions, name = stages(dockerfile), [], ""
    while name in found:
        name, of_stage = found[name]
        instructions += of_stage
    assert name in ("${BASE_IMAGE}", "scratch")
    return instructions


@pytest.mark.parametrize("dockerfile", WITH_TORCH[1:3])
def test_pytorch_is_installed_by_the_same_instructions_in_every_service(dockerfile: str) -> None:
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


@pytest.mark.parametrize(
    "dockerfile", [*WITH_TORCH[:3], "onnx_serving/Dockerfile", "onnx_serving/native.Dockerfile"]
)
def test_the_image_of_a_service_holds_nothing_that_is_listed_as_unused(dockerfile: str) -> None:
    """Every instruction that installs also removes, so that no layer holds what a later layer hides."""
    text = (ROOT / dockerfile).read_text(encoding="utf-8")
    installs = [
        line for line in text.splitlines() if "sh /build/install.sh" in line and "maturin" not in line
    ]
    assert installs
    assert [line for line in installs if "install.sh --slim " not in line] == []
    assert "tools/slim.py tools/unused.txt" in text


def test_the_publisher_exports_with_all_of_pytorch() -> None:
    """An exporter imports what no service needs, and its stage is in no image."""
    assert "--slim" not in (ROOT / "docker/publisher.Dockerfile").read_text(encoding="utf-8")


def test_no_other_image_holds_pytorch() -> None:
    with_torch = {file for file in DOCKERFILES if "torch.txt" in (ROOT / file).read_text(encoding="utf-8")}
    assert with_torch == set(WITH_TORCH)
    assert stages("docker/publisher.Dockerfile")[""][0] == "${BASE_IMAGE}"


def test_onnx_runtime_reports_to_nobody_whatever_runs_in_its_image() -> None:
    locks = [lock.name for lock in (ROOT / "locks").glob("*.txt") if "\nonnxruntime==" in lock.read_text()]
    for dockerfile in DOCKERFILES:
        text = (ROOT / dockerfile).read_text(encoding="utf-8")
        if any(f"/build/{lock}" in text for lock in [*locks, "${LOCK}.txt"]):
            assert any("ORT_DISABLE_TELEMETRY=1" in line for line in of_the_image(dockerfile)), dockerfile


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_no_argument_reaches_the_history_of_an_image(dockerfile: str) -> None:
    """An index's address may hold a password, and the history has a stage's arguments beside its commands."""
    assert not [line for line in of_the_image(dockerfile) if line.startswith("ARG")]


@pytest.mark.parametrize(
    "dockerfile",
    [
        *WITH_TORCH[:3],
        "onnx_serving/Dockerfile",
        "onnx_serving/native.Dockerfile",
        "batched_serving/onnx.Dockerfile",
        "batched_serving/native.Dockerfile",
    ],
)
def test_code_of_the_users_comes_in_and_replaces_nothing_of_ours(dockerfile: str) -> None:
    found = stages(dockerfile)
    assert found["code"] == ("scratch", ())
    copied = [line for line in found["build"][1] if line.startswith("COPY ") and "/app" in line]
    assert copied[0] == "COPY --from=code . /app/"
    assert len(copied) > 1


@pytest.mark.parametrize("dockerfile", WITH_RUST)
def test_a_change_of_our_rust_leaves_the_layer_of_its_dependencies_as_it_is(dockerfile: str) -> None:
    """It copies manifests alone, and those of every crate."""
    manifests = sorted(path.relative_to(ROOT) for path in (ROOT / "rust_serving").glob("*/Cargo.toml"))
    instructions = stages(dockerfile)["dependencies"][1]
    copied = [line for line in instructions if line.startswith("COPY ")]
    assert len(manifests) >= 5
    assert [line for line in copied if line not in MAKER_OF_WHEELS] == [
        "COPY rust_serving/Cargo.toml rust_serving/Cargo.lock ./",
        *(f"COPY {manifest} {manifest.parent.name}/" for manifest in manifests),
    ]


def test_batching_on_onnx_runtime_has_the_packages_of_onnx_simd() -> None:
    """In the same layer, so that they are stored once: the lock and the code are all that differs."""

    def alike(dockerfile: str, service: str) -> str:
        text = str(stages(dockerfile)).replace(service, "the service")
        return re.sub(r"ARG LOCK=[\w-]+", "ARG LOCK", text)

    assert alike("batched_serving/onnx.Dockerfile", "batched_serving") == alike(
        "onnx_serving/Dockerfile", "onnx_serving"
    )


def test_batching_beside_the_extension_is_built_as_onnx_serving_is() -> None:
    ours, theirs = stages("batched_serving/native.Dockerfile"), stages("onnx_serving/native.Dockerfile")
    for name in ("wheels", "code", "maturin", "tools", "dependencies", "extension", "installed"):
        assert ours[name] == theirs[name], name
    for name, twin in (("build", "build"), ("batched", "onnx"), ("", "")):
        own = str(ours[name]).replace("batched_serving", "onnx_serving")
        assert own.replace("'batched'", "'onnx'") == str(theirs[twin]), name


def test_the_image_with_the_extension_has_the_layers_of_the_image_without() -> None:
    """They differ in the crop alone, and what they share is built once and stored once."""
    without, with_it = stages("onnx_serving/Dockerfile"), stages("onnx_serving/native.Dockerfile")
    for name in ("wheels", "code", "build"):
        assert with_it[name] == without[name], name
    assert with_it["onnx"] == without[""]
    assert with_it[""] == ("onnx", ("COPY --from=installed /added /",))


def test_the_compiler_and_the_tools_beside_it_are_installed_once() -> None:
    assert stages(WITH_RUST[1])["tools"] == stages(WITH_RUST[0])["tools"]


@pytest.mark.parametrize("dockerfile", WITH_RUST)
def test_builds_side_by_side_fetch_packages_one_at_a_time(dockerfile: str) -> None:
    """Both images mount the registry at once, and cargo's own lock lies outside of it."""
    registry = "/usr/local/cargo/registry"
    text = (ROOT / dockerfile).read_text(encoding="utf-8").replace("\\\n", "")
    builds = [line for line in text.splitlines() if re.search(r"\b(cargo|maturin) build\b", line)]
    assert len(builds) == 2
    for line in builds:
        assert line.startswith(f"RUN --mount=type=cache,target={registry} ")
        fetch, build = re.split(r"&& (?=cargo build|maturin build)", line)
        assert fetch.rstrip().endswith(f"&& flock {registry}/.fetched cargo fetch --locked")
        assert "--offline" in build
