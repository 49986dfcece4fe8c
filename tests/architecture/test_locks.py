"""locks/*.txt pin what pyproject.toml asks for, and nothing of CUDA's but in the one lock that is for it."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
OF_CUDA = re.compile(r"nvidia-|cuda-|triton(==|$)")
LOCKS = sorted((ROOT / "locks").glob("*.txt"))


def asked(extra: str) -> list[Requirement]:
    """The extra's requirements, those of the extras that it names included."""
    found = []
    for line in EXTRAS[extra]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            found += [inner for name in sorted(requirement.extras) for inner in asked(name)]
        else:
            found.append(requirement)
    return found


def pinned(lock: Path) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line.partition(" --hash=")[0])
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        pins.setdefault(canonicalize_name(requirement.name), set()).add(specifier.version)
    return pins


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_all_that_its_extra_asks_for(lock: Path) -> None:
    pins = pinned(lock)
    for requirement in asked(lock.stem):
        versions = pins.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement} is not in {lock.name}: run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), (
            f"{requirement}: run make lock"
        )
    of_cuda = [name for name in pins if OF_CUDA.match(name)]
    assert bool(of_cuda) == (lock.stem == "torch-cuda"), f"{lock.name}: {of_cuda}"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_has_the_hashes_of_all_that_it_pins(lock: Path) -> None:
    """pip then takes no other file, and refuses a lock in which only some packages have hashes."""
    lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.search(r"( --hash=sha256:[0-9a-f]{64})+$", line)] == []


def test_pytorchs_build_for_cpus_is_among_the_hashes() -> None:
    """As it is on its own index for the Python of the images; the general index has other files."""
    text = (ROOT / "locks" / "torch.txt").read_text(encoding="utf-8")
    assert "--hash=sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b" in text


def test_the_image_for_a_gpu_differs_in_cudas_packages_alone() -> None:
    """What is measured on a GPU and what is measured without one are otherwise the same packages."""

    def others(name: str) -> set[str]:
        lines = (ROOT / "locks" / name).read_text(encoding="utf-8").splitlines()
        return {line for line in lines if not line.startswith("#") and not OF_CUDA.match(line)}

    assert others("torch-cuda.txt") == others("torch.txt")


def test_what_reports_to_openvinos_maker_is_in_no_lock() -> None:
    """OpenVINO's import sends a report if this package is there, and asks for it in its metadata."""
    found = {lock.stem: pinned(lock) for lock in LOCKS}
    assert [name for name, pins in found.items() if "openvino" in pins] == ["dev", "openvino"]
    assert [name for name, pins in found.items() if "openvino-telemetry" in pins] == []


def test_images_are_built_from_locks_that_exist() -> None:
    used = set()
    for dockerfile in [
        *ROOT.glob("*/Dockerfile"),
        *ROOT.glob("peers/*/Dockerfile"),
        *ROOT.glob("*/*.Dockerfile"),
    ]:
        text = dockerfile.read_text(encoding="utf-8")
        used |= set(re.findall(r"locks/([\w-]+)\.txt", text)) | set(
            re.findall(r"^ARG LOCK=(\S+)$", text, re.M)
        )
    of_variants = re.findall(r"^ +LOCK: (\S+)$", (ROOT / "compose.yaml").read_text(encoding="utf-8"), re.M)
    assert {"onnx-simd", "openvino"} == set(of_variants)
    used |= set(of_variants)
    assert used == {
        "torch",
        "torch-cuda",
        "onnx",
        "onnx-simd",
        "openvino",
        "publisher",
        "modelkit",
        "store",
        "mosec",
        "maturin",
    }
    assert used <= {lock.stem for lock in LOCKS}
