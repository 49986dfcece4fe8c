"""arm64: what the locks pin exists for it with hashes that they have, and no image names a processor."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools/resolve_arm64.sh"
OF_CUDA = re.compile(r"nvidia-|cuda-|triton==")
# what only a developer's machine leaves out, because there is no wheel of it for Linux on arm64
LEFT_OUT = {"dev": "cykooz-resizer=="}
PROCESSOR = re.compile(r"x86.64|amd64|aarch64|arm64|--platform|TARGETARCH")
BUILDS = [
    *ROOT.glob("*/Dockerfile"),
    *ROOT.glob("peers/*/Dockerfile"),
    *ROOT.glob("*/*.Dockerfile"),
    *ROOT.glob("compose*.yaml"),
    ROOT / "tools/install.sh",
]


def resolve(lock: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(TOOL), str(lock)], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False
    )


@pytest.mark.parametrize("file", BUILDS, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_image_is_built_for_a_processor_by_name(file: Path) -> None:
    """It is built for that of its base image."""
    instructions = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert not [line for line in instructions if PROCESSOR.search(line)]


@pytest.mark.parametrize("lock", sorted((ROOT / "locks").glob("*.txt")), ids=lambda lock: lock.stem)
def test_no_package_is_pinned_for_a_processor_alone(lock: Path) -> None:
    """CUDA's are, for both. Else pip, which judges a marker by where it runs, could not tell of another."""
    without = LEFT_OUT.get(lock.stem, "\n")
    text = lock.read_text("utf-8")
    lines = [
        line for line in text.splitlines() if "platform_machine" in line and not line.startswith(without)
    ]
    assert [line for line in lines if not OF_CUDA.match(line)] == []
    assert all("'aarch64'" in line and "'x86_64'" in line for line in lines)


@pytest.mark.nightly
@pytest.mark.usefixtures("package_index")
@pytest.mark.parametrize("name", ["bench", "modelkit", "mosec", "onnx", "publisher", "store", "torch"])
def test_every_package_has_a_wheel_for_arm64_with_a_hash_of_the_lock(name: str) -> None:
    """From a package index; PyTorch itself is left out, as it is large."""
    lock = ROOT / "locks" / f"{name}.txt"
    done = resolve(lock)
    assert done.returncode == 0, done.stderr
    pins = [line for line in lock.read_text("utf-8").splitlines() if line[0] != "#" and line[:7] != "torch=="]
    assert f"{len(pins)} packages, each with a wheel for arm64 of a hash that the lock has" in done.stdout


@pytest.mark.nightly
@pytest.mark.usefixtures("package_index")
def test_a_wheel_of_another_hash_is_not_taken(tmp_path: Path) -> None:
    """And so is a lock that has the hashes of other systems' files alone."""
    (line,) = [one for one in (ROOT / "locks/onnx.txt").read_text("utf-8").splitlines() if "pillow==" in one]
    lock = tmp_path / "lock.txt"
    lock.write_text(f"{line.partition(' --hash')[0]} --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    done = resolve(lock)
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert f"{lock}: not all packages have a wheel for arm64 of a hash that the lock has\n" in done.stderr
