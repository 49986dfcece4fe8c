"""The makers of the examples: each writes a model that computes, the same one from the same seed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from examples.encoder import make as encoder
from examples.resnet import make as resnet
from examples.shapes import make as shapes
from examples.towers import make as towers
from examples.wine import make as wine
from tests.running.processes import ROOT

MAKERS = {module.__name__.split(".")[1]: module for module in (encoder, resnet, shapes, towers, wine)}
Values = tuple[NDArray[np.generic], ...]


@pytest.fixture(scope="module", params=MAKERS)
def maker(request: pytest.FixtureRequest) -> ModuleType:
    return MAKERS[request.param]


@pytest.fixture(scope="module")
def made(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the maker writes."""
    file: Path = maker.make(tmp_path_factory.mktemp(maker.__name__.split(".")[1]))
    return file


def computed(file: Path) -> Callable[..., Values]:
    """What the file computes, by position; arrays in and out."""
    if file.suffix == ".onnx":
        session = onnxruntime.InferenceSession(file)
        names = [given.name for given in session.get_inputs()]
        return lambda *values: tuple(session.run(None, dict(zip(names, values, strict=True))))
    network = torch.export.load(file).module()

    def call(*values: NDArray[np.generic]) -> Values:
        with torch.inference_mode():
            result = network(*map(torch.from_numpy, values))
        return tuple(each.numpy() for each in (result if isinstance(result, tuple) else (result,)))

    return call


def inputs(file: Path, items: int) -> Values:
    """A batch of so many items, drawn from a seed."""
    chance = np.random.default_rng(1)
    return {
        "encoder.pt2": lambda: (chance.integers(0, encoder.VOCABULARY, (items, 9)),),
        "resnet.pt2": lambda: (pictures(items, resnet.SIZE),),
        "shapes.onnx": lambda: (pictures(items, 192),),
        "towers.pt2": lambda: tuple(
            chance.standard_normal((items, size), np.float32) for size in (towers.READER, towers.ARTICLE)
        ),
        "wine.onnx": lambda: (np.load(file.with_name("test.npz"))["X"][:items],),
    }[file.name]()


def pictures(items: int, size: int) -> NDArray[np.float32]:
    """Pictures of the image set, about as modelkit prepares them: float32 [items, 3, size, size]."""
    files = sorted((ROOT / "images").glob("*_0?.jpg"))[:items]
    levels = np.stack([ImageOps.fit(Image.open(file).convert("RGB"), (size, size)) for file in files])
    return ((levels / 255 - 0.45) / 0.22).transpose(0, 3, 1, 2).astype(np.float32)


def test_a_batch_of_any_size_has_the_answers_of_its_items_alone(made: Path) -> None:
    compute = computed(made)
    values = inputs(made, 5)
    together = compute(*values)
    for place in range(5):
        alone = compute(*(value[place : place + 1] for value in values))
        for one, several in zip(alone, together, strict=True):
            assert one[0] == pytest.approx(several[place], abs=1e-4)


def test_answers_differ_from_item_to_item(made: Path) -> None:
    """Otherwise nobody would see that answers were mixed up."""
    numbers = computed(made)(*inputs(made, 12))[-1].reshape(12, -1)
    assert np.unique(numbers.round(3), axis=0).shape[0] >= 10


def test_the_same_seed_makes_the_same_model(maker: ModuleType, made: Path, tmp_path: Path) -> None:
    if maker is resnet:
        first, again = torch.export.load(made).state_dict, resnet.draw().state_dict()
        assert all(torch.equal(first[name], again[name]) for name in again)
        return
    values = inputs(made, 3)
    for one, other in zip(computed(made)(*values), computed(maker.make(tmp_path))(*values), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_label_for_each_class_and_pictures_of_several_classes(made: Path) -> None:
    labels = made.with_name("labels.txt")
    assert labels.exists() == (made.stem in {"resnet", "shapes"})
    if labels.exists():
        (answers,) = computed(made)(*inputs(made, 12))
        assert answers.shape == (12, len(labels.read_text("utf-8").splitlines()))
        assert len(set(answers.argmax(1).tolist())) >= 2


def test_the_softmax_is_in_the_graph_of_shapes(tmp_path: Path) -> None:
    file = shapes.make(tmp_path)
    (answers,) = computed(file)(*inputs(file, 4))
    assert answers.sum(1) == pytest.approx(np.ones(4))
    assert answers.min() >= 0


def test_the_encoder_takes_texts_of_any_length_up_to_its_limit(tmp_path: Path) -> None:
    compute = computed(encoder.make(tmp_path))
    for length in (1, 2, 77, encoder.LONGEST):
        (vector,) = compute(np.zeros((1, length), np.int64))
        assert vector.shape == (1, encoder.WIDTH)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_forest_knows_wines_that_it_has_not_seen(tmp_path: Path) -> None:
    from sklearn.datasets import load_wine

    file = wine.make(tmp_path)
    test = np.load(file.with_name("test.npz"))["X"]
    labels, probabilities = computed(file)(test)
    measured, kinds = load_wine(return_X_y=True)
    kind_of = {tuple(row): kind for row, kind in zip(measured.astype(np.float32), kinds, strict=True)}
    assert np.mean([kind_of[tuple(row)] == label for row, label in zip(test, labels, strict=True)]) > 0.9
    assert (probabilities.argmax(1) == labels).all()


def test_a_maker_is_a_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.shapes.make", "--output", str(tmp_path / "new" / "folder")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    file = tmp_path / "new" / "folder" / "shapes.onnx"
    assert done.stdout == f"wrote {file} and its labels.txt\n"
    assert file.stat().st_size > 10_000
