"""The graph's transform is the reference's, on every awkward size, and parity notices when it is not."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

from modelkit import ModelkitError
from modelkit.export import export
from modelkit.graph import ParityError, check_graph, check_network, open_graph, optimise
from modelkit.images import reference_pixels
from modelkit.manifest import Transform, network_beside
from modelkit.transform_graph import transform_model

_TRANSFORM = Transform()
_STD = np.asarray(_TRANSFORM.std)[:, None, None]
_MEAN = np.asarray(_TRANSFORM.mean)[:, None, None]


@pytest.fixture(scope="module")
def transform_session() -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        transform_model(_TRANSFORM).SerializeToString(), providers=["CPUExecutionProvider"]
    )


def _levels(session: onnxruntime.InferenceSession, batch: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The graph's pixels [n, 3, 224, 224] back on a scale of 0 to 255."""
    found = session.run(None, {"image": batch})[0]
    return np.asarray((found * _STD + _MEAN) * 255)


def _reference_levels(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    return reference_pixels(Image.fromarray(pixels), _TRANSFORM).transpose(2, 0, 1).astype(np.float64)


_HARD = [(1, 1), (1, 2), (2, 1), (1, 300), (8, 8), (20, 1000), (1000, 20), (256, 256), (257, 259), (224, 224)]
_HARD += [(727, 1200), (2000, 3000), (255, 256), (300, 9)]


@pytest.mark.parametrize("size", _HARD)
def test_graph_gives_the_references_pixels(
    transform_session: onnxruntime.InferenceSession, size: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (*size, 3), np.uint8)
    difference = _levels(transform_session, pixels[None])[0] - _reference_levels(pixels)
    assert np.abs(difference).max() <= 1.1
    # Pillow rounds halves up, which shows where the ratio is a simple fraction
    assert abs(difference.mean()) < 0.1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 2**32 - 1))
def test_graph_gives_the_references_pixels_at_any_size(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    session = _any_size_session()
    assert np.abs(_levels(session, pixels[None])[0] - _reference_levels(pixels)).max() <= 1.1


_SESSIONS: list[onnxruntime.InferenceSession] = []


def _any_size_session() -> onnxruntime.InferenceSession:
    """One session for all of hypothesis's examples."""
    if not _SESSIONS:
        model = transform_model(_TRANSFORM).SerializeToString()
        _SESSIONS.append(onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]))
    return _SESSIONS[0]


def test_largest_photograph_is_handled(transform_session: onnxruntime.InferenceSession) -> None:
    coarse = np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8)
    pixels = np.repeat(np.repeat(coarse, 100, axis=0), 100, axis=1)
    difference = _levels(transform_session, pixels[None])[0] - _reference_levels(pixels)
    assert np.abs(difference).max() <= 1.1


def test_a_batch_gives_what_its_images_give_alone(graph: Path) -> None:
    session = open_graph(graph)
    batch = np.random.default_rng(1).integers(0, 256, (3, 150, 210, 3), np.uint8)
    together = session.run(["logits"], {"image": batch})[0]
    alone = np.concatenate([session.run(["logits"], {"image": image[None]})[0] for image in batch])
    assert together.shape == (3, 11)
    assert np.abs(together - alone).max() < 1e-3


def test_graph_keeps_its_contract(graph: Path) -> None:
    session = open_graph(graph)
    source, logits = session.get_inputs()[0], session.get_outputs()[0]
    assert (source.name, source.type, source.shape) == (
        "image",
        "tensor(uint8)",
        ["batch", "height", "width", 3],
    )
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["batch", 11])


def test_the_network_alone_takes_a_prepared_crop(
    graph: Path, images: Path, model_dir: Path, tmp_path: Path
) -> None:
    optimise(network_beside(graph), tmp_path / "network.onnx")
    session = open_graph(tmp_path / "network.onnx")
    source, logits = session.get_inputs()[0], session.get_outputs()[0]
    assert (source.name, source.type, source.shape) == ("input", "tensor(float)", ["batch", 3, 224, 224])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["batch", 11])
    parity = check_network(tmp_path / "network.onnx", images, model_dir)
    assert parity.images >= 44
    assert parity.largest_difference <= parity.tolerance


def test_optimised_graph_agrees_and_is_quiet(
    graph: Path, images: Path, model_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    optimise(graph, tmp_path / "model.onnx")
    parity = check_graph(tmp_path / "model.onnx", images, model_dir)
    assert parity.images >= 44
    assert parity.largest_difference <= parity.tolerance
    assert capfd.readouterr().err == ""


def _without_division(graph: Path, output: Path) -> None:
    """The seed's fault: pixels that were never divided by 255."""
    model = onnx.load(graph)
    scales = [c for c in model.graph.initializer if tuple(c.dims) == (1, 1, 3, 3, 1)]
    assert len(scales) == 1
    scales[0].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scales[0]) * 255, scales[0].name))
    onnx.save(model, output)


def test_a_graph_that_forgets_to_divide_by_255_fails(
    graph: Path, images: Path, model_dir: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.onnx"
    _without_division(graph, broken)
    with pytest.raises(ParityError, match=r"images differ from the reference .*_seed\.jpg"):
        check_graph(broken, images, model_dir)


def test_an_export_with_other_weights_fails_and_leaves_no_file(
    images: Path, model_dir: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    from modelkit.network import MobileNetV3Small

    torch.manual_seed(0)
    other = tmp_path / "model"
    other.mkdir()
    (other / "model.json").write_bytes((model_dir / "model.json").read_bytes())
    save_file(MobileNetV3Small().state_dict(), other / "weights.safetensors")
    with pytest.raises(ParityError):
        export(other, images, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
    assert not network_beside(tmp_path / "model.onnx").exists()


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(
        ModelkitError, match=r"model\.onnx cannot be served: it is not a graph .*: export it again"
    ):
        open_graph(tmp_path / "model.onnx")
