"""The committed images: sizes, kinds and classes as promised, and answers that are the reference's."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from PIL import Image

from modelkit import ModelkitError
from modelkit.graph import ParityError, check_graph, compare, read_expected, read_tolerance
from modelkit.image_set import listed_images
from modelkit.images import jpeg_of_size
from modelkit.manifest import LABELS, file_entry, read_json
from modelkit.reference import Reference
from modelkit.scenes import scene

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def entries(images: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = read_json(images / "manifest.json")["requests"]
    return listed


def shown(name: str) -> str:
    """The weather that an image shows, after which it is named."""
    return name.partition("_")[0]


def test_files_are_those_of_the_manifest(images: Path, entries: list[dict[str, Any]]) -> None:
    named = {entry["tensors"][0]["file"] for entry in entries}
    assert {path.name for path in images.iterdir()} == named | {"manifest.json", "held_out"}
    assert listed_images({"requests": entries}) == [entry["tensors"][0]["file"] for entry in entries]
    assert sum((images / name).stat().st_size for name in named) < 6_000_000


def test_the_set_is_a_request_set(images: Path) -> None:
    schema = ROOT / "bench" / "request_sets" / "request_set.schema.json"
    validator = jsonschema_rs.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    validator.validate(read_json(images / "manifest.json"))


def test_payload_kinds_have_their_sizes(images: Path, entries: list[dict[str, Any]]) -> None:
    seeds = [images / entry["name"] for entry in entries if entry["class"] == "seed"]
    small = [images / entry["name"] for entry in entries if entry["class"] == "small"]
    assert len(seeds) >= 4
    assert len(small) >= 8
    assert len({shown(file.name) for file in seeds}) == len(seeds)
    for file in seeds:
        with Image.open(file) as image:
            assert image.size == (1200, 727)
    assert all(215_000 <= file.stat().st_size <= 245_000 for file in seeds)
    assert all(17_000 <= file.stat().st_size <= 23_000 for file in small)


def test_every_class_has_four_images_that_the_reference_is_sure_of(entries: list[dict[str, Any]]) -> None:
    plain = [entry for entry in entries if entry["class"] != "edge"]
    counts = Counter(shown(entry["name"]) for entry in plain)
    assert set(counts) == set(LABELS)
    assert min(counts.values()) >= 4
    for entry in plain:
        second, first = sorted(entry["expect"]["probabilities"].values())[-2:]
        assert entry["expect"]["label"] == shown(entry["name"])
        assert first - second >= 0.2


def test_edge_cases_are_what_they_claim(images: Path) -> None:
    modes = {
        "grey.jpg": "L",
        "cmyk.jpg": "CMYK",
        "alpha.png": "RGBA",
        "palette.png": "P",
        "16bit.png": "I;16",
    }
    for name, mode in modes.items():
        with Image.open(images / f"edge_{name}") as image:
            assert image.mode == mode
    with Image.open(images / "edge_exif_6.jpg") as image:
        assert image.getexif()[0x0112] == 6
    with Image.open(images / "edge_progressive.jpg") as image:
        assert image.info.get("progressive")


def test_committed_answers_are_the_references(images: Path, model_dir: Path) -> None:
    answers = read_expected(images)
    found = Reference(model_dir).logits([(answer.file, answer.content) for answer in answers])
    # eager PyTorch differs in the last bits from processor to processor
    assert np.abs(found - np.stack([answer.logits for answer in answers])).max() < 5e-3


def test_model_files_are_small_enough_and_good_enough(model_dir: Path) -> None:
    manifest = read_json(model_dir / "model.json")
    assert sum(path.stat().st_size for path in model_dir.iterdir()) <= 10_000_000
    assert manifest["files"]["weights.safetensors"] == file_entry(model_dir / "weights.safetensors")
    assert manifest["metrics"]["weighted_f1"] >= 0.90
    assert read_tolerance(model_dir) <= 0.25


def test_an_empty_image_folder_is_named(tmp_path: Path, graph: Path, model_dir: Path) -> None:
    with pytest.raises(ModelkitError, match=r"manifest\.json does not exist"):
        check_graph(graph, tmp_path, model_dir)


def test_compare_names_a_flip_and_a_logit_that_is_not_a_number() -> None:
    expected = np.zeros((3, 11), np.float32)
    expected[:, 0] = 1
    found = expected.copy()
    found[1, 1], found[2, 5] = 1.01, np.nan
    with pytest.raises(ParityError, match=r"2 of 3 images .*b\.jpg \(another class.*c\.jpg"):
        compare(["a.jpg", "b.jpg", "c.jpg"], expected, found, 2.0)


def test_compare_passes_within_tolerance_only() -> None:
    expected = np.zeros((1, 11), np.float32)
    expected[0, 0] = 1
    assert compare(["a.jpg"], expected, expected + 0.04, 0.05).largest_difference == pytest.approx(0.04)
    with pytest.raises(ParityError, match=r"a\.jpg"):
        compare(["a.jpg"], expected, expected + 0.06, 0.05)


def test_jpegs_come_out_near_the_size_wanted() -> None:
    for target in (12_000, 20_000, 30_000):
        assert len(jpeg_of_size(scene("fogsmog", 3, 320, 240), target, 3)) == pytest.approx(target, rel=0.06)


def test_a_size_that_no_quality_reaches_is_refused() -> None:
    with pytest.raises(ModelkitError, match="no JPEG of about 900000 bytes"):
        jpeg_of_size(scene("rain", 1, 100, 80), 900_000, 1)
