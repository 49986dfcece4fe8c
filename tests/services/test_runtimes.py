"""What computes onnx_serving's network beside ONNX Runtime: OpenVINO, in float32 and in bf16."""

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from modelkit.graph import optimise, read_expected
from modelkit.images import decode, reference_input
from modelkit.manifest import network_beside, quantised_beside, read_transform
from onnx_serving.engine import OnnxEngine
from serving_core.classifier import network_of
from serving_core.engine import Compute, Uncomputable
from serving_core.errors import StartError
from serving_core.models.manifest import read_classifier, read_manifest
from serving_core.network import Network
from tests.running.processes import ROOT

pytestmark = pytest.mark.slow

OF_OPENVINO = Compute(runtime="openvino")
# how far a probability may be off: docs/engines.md
IN_BF16, IN_INT8 = 0.05, 0.15
Batch = NDArray[np.float32]


@pytest.fixture(scope="module")
def network() -> Network:
    """What the committed manifest says of the network alone."""
    content = (ROOT / "model" / "model.json").read_bytes()
    return network_of(read_classifier(read_manifest(content, "model.json")), "normalised")


@pytest.fixture(scope="module")
def crops() -> Batch:
    """The image set as the network takes it."""
    transform = read_transform(ROOT / "model")
    answers = read_expected(ROOT / "images")
    return np.concatenate([reference_input(decode(one.content, one.file), transform) for one in answers])


@pytest.fixture(scope="module")
def expected() -> Batch:
    """The reference's logits of the image set."""
    return np.stack([one.logits for one in read_expected(ROOT / "images")])


def loaded(path: Path, network: Network, compute: Compute = OF_OPENVINO) -> OnnxEngine:
    engine = OnnxEngine()
    engine.load(path, network, compute)
    return engine


def probabilities(logits: Any) -> Any:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def test_openvino_gives_the_references_answers(
    graph: Path, network: Network, crops: Batch, expected: Batch
) -> None:
    engine = loaded(network_beside(graph), network)
    assert engine.name == "openvino"
    alone = np.concatenate([engine.predict([crop[np.newaxis]])[0] for crop in crops])
    (together,) = engine.predict([crops])
    for found in (alone, together):
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_openvino_in_bf16_gives_the_same_labels_and_nearly_the_same_probabilities(
    graph: Path, network: Network, crops: Batch, expected: Batch
) -> None:
    """Without instructions for bf16 it computes in float32, and so does it all the more."""
    engine = loaded(network_beside(graph), network, Compute(runtime="openvino", precision="bf16"))
    (found,) = engine.predict([crops])
    assert (found.argmax(1) == expected.argmax(1)).all()
    assert np.abs(probabilities(found) - probabilities(expected)).max() <= IN_BF16


def test_int8_gives_the_same_labels(
    graph: Path, network: Network, crops: Batch, expected: Batch, tmp_path: Path
) -> None:
    optimise(quantised_beside(graph), tmp_path / "network_int8.onnx")
    (found,) = loaded(tmp_path / "network_int8.onnx", network, Compute()).predict([crops])
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.99
    assert np.abs(probabilities(found) - probabilities(expected)).max() <= IN_INT8


def test_openvino_computes_for_several_threads_at_once(
    graph: Path, network: Network, crops: Batch, expected: Batch
) -> None:
    """More threads than it may compute with at once wait, and none sees another's answer."""
    engine = loaded(network_beside(graph), network, Compute(threads=2, runtime="openvino"))
    places = [*range(len(crops))] * 3
    with ThreadPoolExecutor(5) as pool:
        found = [*pool.map(lambda place: engine.predict([crops[place : place + 1]])[0][0], places)]
    np.testing.assert_allclose(np.stack(found), expected[places], atol=1e-3)


def test_openvino_refuses_what_the_network_does_not_take_and_goes_on(
    graph: Path, network: Network, crops: Batch
) -> None:
    engine = loaded(network_beside(graph), network)
    for wrong in (crops[:1, :, :9], crops[:1].astype(np.float64)):
        with pytest.raises(Uncomputable) as refused:
            engine.predict([wrong])
        assert "\n" not in str(refused.value)
        assert engine.predict([crops[:1]])[0].shape == (1, 11)


def test_a_graph_that_is_optimised_for_onnx_runtime_is_refused_with_the_remedy(
    graph: Path, network: Network, tmp_path: Path
) -> None:
    optimise(network_beside(graph), tmp_path / "network.onnx")
    (tmp_path / "text.onnx").write_text("no graph")
    for file in ("network.onnx", "text.onnx"):
        with pytest.raises(StartError, match=rf"^{file} is not a graph that OpenVINO can open") as refused:
            loaded(tmp_path / file, network)
        assert str(refused.value).endswith(
            "give ONNX_MODEL_URI the address of a graph that is not optimised for ONNX Runtime, such as "
            "network_plain.onnx, or set ENGINE=onnxruntime"
        )
        assert "\n" not in str(refused.value)


def test_onnx_runtime_computes_in_no_other_numbers_than_the_graphs(graph: Path, network: Network) -> None:
    with pytest.raises(StartError, match=r"PRECISION=bf16: .* set PRECISION=fp32, or ENGINE=openvino"):
        loaded(network_beside(graph), network, Compute(precision="bf16"))


@pytest.mark.parametrize(("runtime", "lock"), [("openvino", "openvino"), ("onnxruntime", "onnx")])
def test_a_runtime_that_is_not_installed_is_named_with_the_lock_that_has_it(runtime: str, lock: str) -> None:
    code = (
        f"import sys; sys.modules[{runtime!r}] = None\n"
        "from pathlib import Path\nfrom onnx_serving.engine import OnnxEngine\n"
        "from serving_core.engine import Compute\nfrom serving_core.errors import StartError\n"
        f"try: OnnxEngine().load(Path('x'), None, Compute(runtime={runtime!r}))\n"
        "except StartError as error: print(error)"
    )
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert made.stdout == (
        f"ENGINE={runtime}: the package {runtime} is missing: "
        f"`sh tools/install.sh locks/{lock}.txt .venv` installs it\n"
    )


def test_without_instructions_for_bf16_it_says_so_once_and_computes_in_float32(
    graph: Path,
    network: Network,
    crops: Batch,
    expected: Batch,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from serving_core.runtimes import vino

    monkeypatch.setattr(vino, "has_bf16", lambda: False)
    compute = Compute(threads=2, runtime="openvino", precision="bf16")
    with caplog.at_level(logging.WARNING, "serving_core.runtimes.vino"):
        (found,) = loaded(network_beside(graph), network, compute).predict([crops])
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert [record.message for record in caplog.records] == [
        "this processor has no instructions for bf16: OpenVINO computes in fp32"
    ]


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("Features\t: fp asimd\n", False),
        ("", False),
    ],
)
def test_the_instructions_are_those_that_the_system_names(text: str, has: bool, tmp_path: Path) -> None:
    from serving_core.runtimes.instructions import has_bf16

    (tmp_path / "cpuinfo").write_text(text)
    assert has_bf16(tmp_path / "cpuinfo") is has
    assert not has_bf16(tmp_path / "missing")


def test_openvino_reports_to_nobody_even_if_what_reports_is_installed(tmp_path: Path) -> None:
    package = tmp_path / "openvino_telemetry"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    import_it = [sys.executable, "-c", "import serving_core.runtimes.vino"]
    made = subprocess.run(
        import_it, cwd=ROOT, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (made.returncode, made.stderr) == (0, "")
    # this shows something: OpenVINO's own import would import it
    alone = [sys.executable, "-c", "import openvino"]
    other = subprocess.run(
        alone, cwd=ROOT, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert "it was imported" in other.stderr
