"""Splits are stratified and seeded; training learns, from scratch and with a frozen backbone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from modelkit import ModelkitUsageError, data, train
from modelkit.data import Dataset
from modelkit.evaluate import Scores, draw_confusion, judge
from modelkit.manifest import LABELS, file_entry, read_json
from modelkit.network import MobileNetV3Small
from modelkit.scenes import scene
from modelkit.train import PictureSource, Recipe


@pytest.fixture(scope="module")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of every class, each in its class's folder."""
    folder = tmp_path_factory.mktemp("photographs")
    for label in LABELS:
        (folder / label).mkdir()
        for seed in range(12):
            scene(label, 900 + seed, 96, 72).save(folder / label / f"{seed}.jpg")
    return folder


def _flat_dataset(per_class: int, seed: int) -> Dataset:
    """Eleven easily told colours, with noise: uint8 [n, 224, 224, 3]."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(LABELS)), per_class)
    hues = np.random.default_rng(0).uniform(20, 235, (len(LABELS), 3))[classes]
    small = hues[:, None, None, :] + rng.normal(0, 6, (len(classes), 8, 8, 3))
    pixels = np.repeat(np.repeat(small.clip(0, 255).astype(np.uint8), 28, axis=1), 28, axis=2)
    return Dataset(pixels, classes)


def test_split_is_stratified_disjoint_and_complete() -> None:
    classes = np.repeat(np.arange(11), 50)
    parts = data.stratified_split(classes, 42)
    assert [len(part) for part in parts] == [440, 55, 55]
    assert sorted(np.concatenate(parts).tolist()) == list(range(550))
    for part, each in zip(parts, (40, 5, 5), strict=True):
        assert np.bincount(classes[part]).tolist() == [each] * 11


def test_three_of_a_class_are_enough_for_three_parts() -> None:
    assert [len(part) for part in data.stratified_split(np.repeat(np.arange(11), 3), 1)] == [11, 11, 11]


def test_split_follows_its_seed() -> None:
    classes = np.repeat(np.arange(11), 30)
    first, again, other = (data.stratified_split(classes, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_training_from_scratch_learns_colours() -> None:
    splits = data.split(_flat_dataset(20, 5), 5)
    torch.manual_seed(5)
    network = MobileNetV3Small()
    before = judge(network, splits.test).accuracy
    train.fit(network, splits, Recipe(epochs=6, batch=16, small_side=64, small_share=1.0), 5)
    after = judge(network, splits.test).accuracy
    assert before <= 0.3
    assert after >= 0.6


def test_refreshed_statistics_are_the_training_pictures_own() -> None:
    dataset = _flat_dataset(12, 3)
    network = MobileNetV3Small()
    train.refresh_statistics(network, dataset, batch=len(dataset))
    pixels = train.normalise(torch.from_numpy(dataset.pixels), train.Transform())
    with torch.no_grad():
        maps = network.features[0][0](pixels)
    norm = network.features[0][1]
    assert torch.allclose(norm.running_mean, maps.mean((0, 2, 3)), atol=1e-3)
    assert {m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {0.01}
    assert not network.training


def test_photographs_are_trained_on_and_described(photo_folder: Path, tmp_path: Path) -> None:
    source = PictureSource(photo_folder, per_class=1, seed=42)
    recipe = Recipe(epochs=1, small_side=64, small_share=1.0)
    train.train(source, recipe, None, tmp_path)
    manifest = read_json(tmp_path / "model.json")
    assert manifest["labels"] == list(LABELS)
    assert manifest["metrics"]["test_images"] == 11
    assert manifest["trained_on"].startswith("photographs")
    assert manifest["files"]["weights.safetensors"] == file_entry(tmp_path / "weights.safetensors")


def test_a_frozen_backbone_stays_as_it_was(model_dir: Path) -> None:
    initial = load_file(model_dir / "weights.safetensors")
    network = MobileNetV3Small()
    network.load_state_dict(initial)
    splits = data.split(_flat_dataset(4, 1), 1)
    train.fit(network, splits, Recipe(epochs=1, freeze_backbone=True, small_side=64), 1)
    state = network.state_dict()
    assert all(torch.equal(state[name], initial[name]) for name in state if name.startswith("features."))
    assert not torch.equal(state["classifier.3.weight"], initial["classifier.3.weight"])


def test_a_folder_without_every_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dew").mkdir()
    with pytest.raises(ModelkitUsageError, match="lacks the sub-folders fogsmog"):
        data.photographs(tmp_path)


def test_a_class_with_two_photographs_is_refused(photo_folder: Path, tmp_path: Path) -> None:
    for label in LABELS:
        (tmp_path / label).mkdir()
    (tmp_path / "dew" / "0.jpg").write_bytes((photo_folder / "dew" / "0.jpg").read_bytes())
    with pytest.raises(ModelkitUsageError, match="holds 1 images"):
        data.photographs(tmp_path)


def test_generated_scenes_follow_their_seed() -> None:
    first, again, other = (data.generated(2, seed) for seed in (1, 1, 2))
    assert first.pixels.shape == (22, 224, 224, 3)
    assert np.bincount(first.classes).tolist() == [2] * 11
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


def test_scores_are_what_scikit_learn_says(tmp_path: Path) -> None:
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 11, 300)
    found = np.where(rng.random(300) < 0.7, truth, rng.integers(0, 11, 300))
    scores = Scores(confusion_matrix(truth, found, labels=range(11)))
    assert scores.accuracy == pytest.approx(accuracy_score(truth, found))
    assert scores.weighted_f1 == pytest.approx(f1_score(truth, found, average="weighted"))
    draw_confusion(scores, tmp_path / "confusion.png", "A test")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
