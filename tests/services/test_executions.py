"""What COMPUTE makes of torch_serving's network: the same answers, and refusals in one line."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modelkit.compiled import CompiledError, compile_network, instructions, load_compiled
from modelkit.graph import read_expected
from modelkit.images import decode, reference_pixels
from modelkit.manifest import read_transform
from serving_core.classifier import network_of
from serving_core.engine import Compute
from serving_core.engine_choices import Execution
from serving_core.errors import StartError
from serving_core.models.manifest import read_classifier, read_manifest
from serving_core.network import Network
from serving_core.tensors import TensorSpec
from tests.running.processes import ROOT
from torch_serving.engine import TorchEngine

pytestmark = pytest.mark.slow

WEIGHTS = ROOT / "model" / "weights.safetensors"
SIDE = 8
WITH_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no compiler g++")


@pytest.fixture(scope="module")
def network() -> Network:
    """What the committed manifest says of a network that takes crops."""
    content = (ROOT / "model" / "model.json").read_bytes()
    return network_of(read_classifier(read_manifest(content, "model.json")), "crop")


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    """The image set's crops."""
    transform = read_transform(ROOT / "model")
    images = [decode(one.content, one.file) for one in read_expected(ROOT / "images")]
    return np.stack([reference_pixels(image, transform) for image in images])


def loaded(path: Path, network: Network, execution: Execution) -> TorchEngine:
    engine = TorchEngine()
    engine.load(path, network, Compute(execution=execution))
    return engine


@pytest.mark.parametrize("execution", ["eager", "channels_last", "fused"])
def test_each_way_gives_the_references_answers(
    execution: Execution, network: Network, crops: NDArray[np.uint8]
) -> None:
    engine = loaded(WEIGHTS, network, execution)
    assert engine.name == ("torch" if execution == "eager" else f"torch_{execution}")
    engine.warm([[crops[:1]]])
    expected = np.stack([one.logits for one in read_expected(ROOT / "images")])
    alone = np.concatenate([engine.predict([crop[np.newaxis]])[0] for crop in crops])
    (together,) = engine.predict([crops])
    for found in (alone, together):
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_only_a_network_of_images_is_fused_or_compiled_ahead() -> None:
    rows = (TensorSpec("rows", "FP32", (3,)),)
    for execution in ("fused", "aot"):
        with pytest.raises(StartError, match=rf"^COMPUTE={execution}: .* takes tensors: set COMPUTE=eager"):
            loaded(WEIGHTS, Network(rows, rows, architecture="modelkit.network:MobileNetV3Small"), execution)


class Odd(nn.Module):
    """Computes a large batch otherwise than a small, which a trace does not see."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean of each channel, of several images one more."""
        means = images.mean((2, 3))
        return means + 1 if len(images) > 1 else means


def test_a_network_that_fusing_would_change_is_refused(network: Network) -> None:
    from torch_serving.executions import fused

    with pytest.raises(StartError, match=r"COMPUTE=fused: the fused network's outputs are .* off"):
        fused(Odd().eval(), network)


class Small(nn.Module):
    """Quick to compile."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean of each of four channels."""
        return self.conv(images).relu().mean((2, 3))


@pytest.fixture(scope="module")
def small() -> nn.Module:
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture(scope="module")
def compiled(small: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network, compiled for this processor."""
    path = tmp_path_factory.mktemp("compiled") / "network.pt2"
    compile_network(small, SIDE, path)
    return path


@WITH_COMPILER
def test_what_is_compiled_ahead_computes_the_same_for_any_number_of_images(
    small: nn.Module, compiled: Path
) -> None:
    computes = load_compiled(compiled, callers=2)
    for count in (1, 2, 7):
        images = torch.randn(count, 3, SIDE, SIDE)
        with torch.inference_mode():
            torch.testing.assert_close(computes(images)[0], small(images))


@WITH_COMPILER
def test_code_for_another_processor_is_refused_before_it_is_loaded(
    compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t: fpu sse sse2\n")
    with pytest.raises(CompiledError) as refused:
        load_compiled(compiled, cpuinfo=cpuinfo)
    said = str(refused.value)
    assert said.startswith("network.pt2 was compiled for another processor (")
    assert said.endswith("python -m modelkit compile, or set COMPUTE=eager with the weights")
    assert "\n" not in said
    monkeypatch.setattr(torch, "__version__", "9.9.0+cpu")
    with pytest.raises(CompiledError, match=r"was compiled with PyTorch .*, and here is 9.9.0: compile it a"):
        load_compiled(compiled)


@WITH_COMPILER
def test_code_that_does_not_load_is_refused_in_one_line(compiled: Path, tmp_path: Path) -> None:
    """As where /tmp may hold no code, or where the C library is older."""
    damaged = tmp_path / "network.pt2"
    with zipfile.ZipFile(compiled) as given, zipfile.ZipFile(damaged, "w") as made:
        for record in given.infolist():
            made.writestr(record, b"no library" if record.filename.endswith(".so") else given.read(record))
    with pytest.raises(CompiledError) as refused:
        load_compiled(damaged)
    assert str(refused.value).startswith("network.pt2 cannot be loaded (")
    assert str(refused.value).endswith("as model-compiler does, and let /tmp hold code that may run")
    assert "\n" not in str(refused.value)


def test_what_is_not_compiled_is_refused_with_the_remedy(network: Network, tmp_path: Path) -> None:
    (tmp_path / "network.pt2").write_bytes(b"PK\x03\x04 and no more")
    for path in (WEIGHTS, tmp_path / "network.pt2", tmp_path / "missing.pt2"):
        with pytest.raises(
            StartError, match="is not a network that was compiled ahead: give TORCH_MODEL_URI"
        ):
            loaded(path, network, "aot")


@WITH_COMPILER
def test_compiled_code_is_loaded_only_if_it_is_asked_for(compiled: Path, network: Network) -> None:
    with pytest.raises(StartError, match=r"network\.pt2 .*compiled code"):
        loaded(compiled, network, "eager")


def test_the_instructions_are_those_that_compilers_choose_from(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor : 0\nflags : fpu tsc avx2 avx512f hypervisor sse4_1 bmi2\n")
    assert instructions(file) == {"avx2", "avx512f", "sse4_1", "bmi2"}
    file.write_text("Features : fp asimd sve\n")
    assert instructions(file) == {"fp", "asimd", "sve"}
    assert instructions(tmp_path / "missing") == frozenset()


def test_without_a_compiler_it_is_named(
    small: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompiledError, match="there is no compiler g\\+\\+ here: install it"):
        compile_network(small, SIDE, tmp_path / "network.pt2")
