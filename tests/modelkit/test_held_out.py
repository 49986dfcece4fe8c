"""The committed held-out set: as many pictures as promised, each class alike, chosen by no answer."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from PIL import Image

from modelkit import data, image_set
from modelkit.held_out import pictures
from modelkit.manifest import LABELS, read_json
from modelkit.reference import Reference, softmax

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "images" / "held_out"


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = read_json(FOLDER / "manifest.json")["requests"]
    return listed


def test_it_has_the_pictures_that_are_planned_and_no_others(entries: list[dict[str, Any]]) -> None:
    planned = list(pictures(1900, 100))
    assert [entry["name"] for entry in entries] == [one.file for one in planned]
    assert [entry["expect"]["truth"] for entry in entries] == [one.label for one in planned]
    assert {file.name for file in FOLDER.iterdir()} == {one.file for one in planned} | {"manifest.json"}
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 20_000_000
    for one in (planned[0], planned[1899], planned[1900], planned[-1]):
        with Image.open(FOLDER / one.file) as image:
            assert (image.size, image.format) == ((one.width, one.height), "JPEG")


def test_every_class_is_shown_as_often_as_any_other(entries: list[dict[str, Any]]) -> None:
    shown = Counter(entry["expect"]["truth"] for entry in entries)
    assert set(shown) == set(LABELS)
    assert max(shown.values()) - min(shown.values()) <= 1


def test_its_seeds_are_those_of_no_training_and_of_no_image() -> None:
    seeds = [one.seed for one in pictures(1900, 100)]
    assert len(set(seeds)) == len(seeds)
    # the image set's, of which each image may try some
    assert min(seeds) > image_set._FIRST_SEED + 200 * image_set._ATTEMPTS
    # a training of any seed takes the first of its block, one for each scene of a class
    assert {seed // data._SEED_STRIDE for seed in seeds} == {7}
    assert min(seed % data._SEED_STRIDE for seed in seeds) >= 100_000


def test_it_is_a_request_set(entries: list[dict[str, Any]]) -> None:
    schema = ROOT / "bench" / "request_sets" / "request_set.schema.json"
    validator = jsonschema_rs.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    validator.validate(read_json(FOLDER / "manifest.json"))
    for entry in entries:
        probabilities = entry["expect"]["probabilities"]
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert entry["expect"]["label"] == max(probabilities, key=lambda name: probabilities[name])
        best = probabilities[entry["expect"]["label"]]
        near = {name for name, one in probabilities.items() if one >= best - 0.04} - {
            entry["expect"]["label"]
        }
        assert set(entry["expect"].get("near", ())) == near


def test_the_reference_is_not_always_right(entries: list[dict[str, Any]]) -> None:
    """A set in which it were would have been chosen by its answers; docs/model.md states how often it is."""
    right = sum(entry["expect"]["label"] == entry["expect"]["truth"] for entry in entries)
    assert 0.9 * len(entries) < right < len(entries)
    assert f"{right} of {len(entries)}" in (ROOT / "docs" / "model.md").read_text(encoding="utf-8").replace(
        " 000", "000"
    )


def test_committed_answers_are_the_references(entries: list[dict[str, Any]], model_dir: Path) -> None:
    some = entries[::80]
    logits = Reference(model_dir).logits([(one["name"], (FOLDER / one["name"]).read_bytes()) for one in some])
    committed = [[one["expect"]["probabilities"][label] for label in LABELS] for one in some]
    # eager PyTorch differs in the last bits from processor to processor
    assert np.abs(softmax(logits) - np.array(committed)).max() < 1e-3
