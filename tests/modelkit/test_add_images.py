"""`add --kind image` puts the transform into a classifier's graph, which gives what its parts give."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from PIL import Image
from safetensors.torch import save_file
from torch.export import Dim

from modelkit import ModelkitError, add_images, image_graph
from modelkit.forms import Form
from modelkit.graph import check_graph
from modelkit.image_graph import with_transform
from modelkit.images import reference_pixels
from modelkit.intakes import read_labels
from modelkit.manifest import LABELS, Transform, check_fields, file_entry, image_fields
from modelkit.reference import softmax
from modelkit.scenes import scene
from serving_core.errors import StartError
from serving_core.models.manifest import read_classifier, read_manifest
from tests.modelkit import graphs, networks
from tests.modelkit.adding import add, manifest
from tests.modelkit.graphs import node, save, tensor

SIDE = networks.SIDE
USUAL = Transform(resize=27, crop=SIDE)


def classifier(
    file: Path,
    shape: Sequence[int | str | None] = ("n", 3, SIDE, SIDE),
    name: str = "input",
    opset: int = 20,
    logits: bool = False,
) -> Path:
    """A graph of three classes: normalised images to probabilities, or to logits."""
    last = [] if logits else [node("Softmax", ["scores"], ["result"], axis=1)]
    return save(
        file,
        [
            node("Conv", [name, "filters"], ["features"], strides=[3, 3]),
            node("Relu", ["features"], ["image"]),
            node("GlobalAveragePool", ["image"], ["means"]),
            node("Flatten", ["means"], ["flat"]),
            node("Gemm", ["flat", "weights"], ["result" if logits else "scores"]),
            *last,
        ],
        [tensor(name, TensorProto.FLOAT, shape)],
        [tensor("result", TensorProto.FLOAT, [shape[0], 3])],
        opset=opset,
        filters=graphs.random(6, 3, 5, 5) / 5,
        weights=graphs.random(6, 3),
    )


def labels(folder: Path, count: int = 3) -> Path:
    (folder / "labels.txt").write_text("".join(f"class {place}\n" for place in range(count)), "utf-8")
    return folder / "labels.txt"


def add_image(file: Path, *words: str, count: int = 3) -> tuple[int, Path]:
    return add(file, "--kind", "image", "--labels", str(labels(file.parent, count)), *words)


def photograph() -> Image.Image:
    return scene("hail", 77, 101, 67)


def normalised(transform: Transform) -> NDArray[np.float32]:
    pixels = reference_pixels(photograph(), transform) / 255
    values = (pixels - np.asarray(transform.mean)) / np.asarray(transform.std)
    return np.asarray(values.transpose(2, 0, 1)[None], np.float32)


def served(place: Path) -> NDArray[np.float32]:
    """The published graph's answer to the photograph."""
    session = onnxruntime.InferenceSession(str(place / "model.onnx"))
    (found,) = session.run(None, {"image": np.asarray(photograph())[None]})
    return np.asarray(found)


@pytest.mark.parametrize(("name", "opset"), [("input", 20), ("pixels", 18), ("normalised", 13)])
def test_a_graph_with_its_softmax_inside_gets_the_transform(
    name: str, opset: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names that the transform has too, and an opset that is too old for it, are no hindrance."""
    file = classifier(tmp_path / "given.onnx", name=name, opset=opset)
    status, place = add_image(file)
    assert status == 0
    written = manifest(place)
    assert (written["kind"], written["softmax"]) == ("image", True)
    assert written["labels"] == ["class 0", "class 1", "class 2"]
    assert (written["transform"]["resize"], written["transform"]["crop"]) == (27, SIDE)
    assert written["files"] == {name: file_entry(place / name) for name in ("model.onnx", "network.onnx")}
    said = capsys.readouterr().out
    assert "gives probabilities, which sum to 1, its last operator is Softmax" in said
    session = onnxruntime.InferenceSession(str(place / "model.onnx"))
    assert [given.shape for given in session.get_inputs()] == [["batch", "height", "width", 3]]
    assert [given.name for given in session.get_outputs()] == ["probabilities"]
    (expected,) = onnxruntime.InferenceSession(str(file)).run(None, {name: normalised(USUAL)})
    np.testing.assert_allclose(served(place), expected, atol=0.01)
    alone = onnxruntime.InferenceSession(str(place / "network.onnx"))
    assert [given.name for given in alone.get_outputs()] == ["probabilities"]
    (found,) = alone.run(None, {"input": normalised(USUAL)})
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_every_number_of_the_transform_can_be_given(tmp_path: Path) -> None:
    words = ("--resize", "40", "--crop", str(SIDE), "--mean", "0.5,0.4,0.3", "--std", "0.2,0.3,0.4")
    file = classifier(tmp_path / "given.onnx", ("n", 3, None, None), logits=True)
    status, place = add_image(file, *words, "--interpolation", "bicubic")
    assert status == 0
    written = manifest(place)
    assert written["softmax"] is False
    assert written["transform"] == {
        "resize": 40,
        "crop": SIDE,
        "interpolation": "bicubic",
        "antialias": True,
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.4],
    }
    transform = Transform(40, SIDE, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "bicubic")
    (expected,) = onnxruntime.InferenceSession(str(file)).run(None, {"input": normalised(transform)})
    np.testing.assert_allclose(served(place), expected, atol=0.02)


def _program(folder: Path) -> tuple[Path, Sequence[str]]:
    shapes = ({0: Dim("batch")},)
    made = torch.export.export(networks.Pictures(), (torch.zeros(2, 3, SIDE, SIDE),), dynamic_shapes=shapes)
    torch.export.save(made, folder / "given.pt2")
    return folder / "given.pt2", ()


def _weights(folder: Path) -> tuple[Path, Sequence[str]]:
    save_file(networks.Pictures().state_dict(), folder / "given.safetensors")
    words = ("--architecture", "tests.modelkit.networks:pictures", "--crop", str(SIDE))
    return folder / "given.safetensors", words


@pytest.mark.parametrize(("make", "file"), [(_program, "program.pt2"), (_weights, "weights.safetensors")])
def test_a_network_of_pytorch_is_published_with_its_graph(
    make: Callable[[Path], tuple[Path, Sequence[str]]],
    file: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given, words = make(tmp_path)
    status, place = add_image(given, *words, count=networks.CLASSES)
    assert status == 0
    assert list(manifest(place)["files"]) == [file, "model.onnx", "network.onnx"]
    assert f"the network in ONNX: 8 examples agree with {given.name}" in capsys.readouterr().out
    with torch.inference_mode():
        expected = networks.Pictures()(torch.from_numpy(normalised(USUAL))).numpy()
    np.testing.assert_allclose(served(place), expected, atol=0.02)


def whole(file: Path, output: str = "scores", **given: str) -> Path:
    """The classifier with its transform inside; `given` are further names for its tensors."""
    graph = with_transform(onnx.load(classifier(file, logits=True)), USUAL, output)
    for old, new in given.items():
        image_graph._rename(graph, old, new)
    onnx.save(graph, file)
    return file


SIZES = ("--resize", "27", "--crop", str(SIDE))


def test_a_graph_that_takes_images_itself_is_left_whole(tmp_path: Path) -> None:
    file = whole(tmp_path / "whole.onnx", image="photo")
    status, place = add_image(file, *SIZES)
    assert status == 0
    assert (manifest(place)["transform"]["resize"], manifest(place)["transform"]["crop"]) == (27, SIDE)
    (expected,) = onnxruntime.InferenceSession(str(file)).run(None, {"photo": np.asarray(photograph())[None]})
    np.testing.assert_allclose(served(place), expected, rtol=1e-3)


def test_names_within_a_whole_graph_are_no_hindrance(tmp_path: Path) -> None:
    """An inner tensor is called as the output is to be."""
    file = whole(tmp_path / "whole.onnx", image="photo", pixels="logits")
    status, place = add_image(file, *SIZES)
    assert status == 0
    assert served(place).shape == (1, 3)


def _with_fixed_sizes(folder: Path) -> Path:
    graph = onnx.load(whole(folder / "given.onnx"))
    for size, value in zip(graph.graph.input[0].type.tensor_type.shape.dim[1:3], (240, 320), strict=True):
        size.dim_value = value
    onnx.save(graph, folder / "given.onnx")
    return folder / "given.onnx"


def _whole_program(folder: Path) -> Path:
    made = torch.export.export(
        networks.Photographs(),
        (torch.zeros(2, 40, 50, 3, dtype=torch.uint8),),
        dynamic_shapes=({0: Dim("n"), 1: Dim("height"), 2: Dim("width")},),
    )
    torch.export.save(made, folder / "given.pt2")
    return folder / "given.pt2"


def _sigmoid(folder: Path, last: str = "Sigmoid") -> Path:
    model = onnx.load(classifier(folder / "given.onnx"))
    model.graph.node[-1].CopyFrom(node(last, ["scores"], ["result"]))
    onnx.save(model, folder / "given.onnx")
    return folder / "given.onnx"


def _hard_sigmoid(folder: Path) -> Path:
    return _sigmoid(folder, "HardSigmoid")


def test_a_graph_without_its_outputs_shape_is_taken(tmp_path: Path) -> None:
    model = onnx.load(classifier(tmp_path / "given.onnx"))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, tmp_path / "given.onnx")
    status, place = add_image(tmp_path / "given.onnx")
    assert status == 0
    assert served(place).shape == (1, 3)


def test_a_type_of_an_unused_name_is_no_hindrance(tmp_path: Path) -> None:
    """The graph types a tensor that it has not, by a name that the transform has."""
    model = onnx.load(classifier(tmp_path / "given.onnx"))
    model.graph.value_info.append(tensor("pixels", TensorProto.FLOAT, ["n"]))
    onnx.save(model, tmp_path / "given.onnx")
    assert add_image(tmp_path / "given.onnx")[0] == 0


def test_probabilities_of_many_classes_are_compared_as_logits() -> None:
    """Flat probabilities of a thousand classes differ by little whatever the network is."""
    scenes = add_images._scenes(USUAL, 1)
    generator = np.random.default_rng(3)
    logits = [generator.normal(0, 0.3, (len(scenes.images), 1000)) for _ in range(2)]
    one, other = (np.asarray(softmax(each), np.float32) for each in logits)
    assert np.abs(one - other).max() < 0.05
    answers = iter(other)
    form = Form("other.onnx", lambda _: [next(answers)[None]])
    with pytest.raises(ModelkitError, match="gives other answers if the image is resized and cropped before"):
        add_images._check_framed(form, scenes, one, softmax=True, tolerance=0.05)


def test_logits_that_are_all_nearly_alike_are_compared_by_how_far_they_are_apart() -> None:
    """A difference of 0.05 would let any two networks agree whose logits are all below a hundredth."""
    scenes = add_images._scenes(USUAL, 1)
    generator = np.random.default_rng(3)
    one, other = (
        np.asarray(generator.normal(0, 1e-3, (len(scenes.images), 5)), np.float32) for _ in range(2)
    )
    for answers, agrees in ((one * np.float32(1.001), True), (other, False)):
        rows = iter(answers)
        form = Form("other.onnx", lambda _, rows=rows: [next(rows)[None]])
        if agrees:
            add_images._check_framed(form, scenes, one, softmax=False, tolerance=0.05)
        else:
            with pytest.raises(ModelkitError, match="gives other answers if the image is resized"):
                add_images._check_framed(form, scenes, one, softmax=False, tolerance=0.05)


def _no_number(folder: Path) -> Path:
    return save(
        folder / "given.onnx",
        [
            node("ReduceMean", ["x", "sides"], ["m"], keepdims=0),
            node("Sub", ["m", "m"], ["z"]),
            node("Div", ["z", "z"], ["y"]),
        ],
        [tensor("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [tensor("y", TensorProto.FLOAT, ["n", 3])],
        sides=np.asarray([2, 3]),
    )


@pytest.mark.parametrize("option", ["--mean", "--std"])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("123.7,116.3,103.5", "is not on a scale of 0 to 1: divide it by 255"),
        ("0.5,0.5", "is not three numbers with commas between"),
        ("0.5,0.5,0.5,0.5", "is not three numbers with commas between"),
        ("a,b,c", "is not three numbers with commas between"),
        ("nan,0.5,0.5", "is not three numbers with commas between"),
    ],
)
def test_a_mean_or_a_deviation_that_is_none_is_a_usage_error(
    option: str, given: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        add_image(classifier(tmp_path / "given.onnx"), option, given)
    assert ended.value.code == 2
    assert f"argument {option}: {given} {says}" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a\r\nb\r\nc\r\n", "a\rb\rc", "a \nb\nc\n\n \n", '["a", "b", "c"]'])
def test_every_way_to_end_a_line_of_labels_is_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes(text.encode())
    assert read_labels(tmp_path / "own.txt") == ("a", "b", "c")


def test_labels_of_an_editor_that_marks_their_encoding_are_plain(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("a\nb\nc\n", "utf-8-sig")
    words = ("--kind", "image", "--labels", str(tmp_path / "own.txt"))
    status, place = add(classifier(tmp_path / "given.onnx"), *words)
    assert (status, manifest(place)["labels"]) == (0, ["a", "b", "c"])


def _fields(**changes: Any) -> dict[str, Any]:
    sizes = {key: changes.pop(key) for key in ("resize", "crop") if key in changes}
    usual = {"labels": ("a", "b"), "logit_tolerance": 0.1} | changes
    transform = Transform(**({"resize": 256, "crop": 224} | sizes))
    return image_fields(usual["labels"], transform, usual["logit_tolerance"], None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"resize": 4096, "crop": 4096}, None),
        ({"resize": 4097}, "--resize is 4097, and services take 4096 at most"),
        ({"resize": 5000, "crop": 4097}, "services take 4096 at most"),
        ({"labels": ("a",)}, "a classifier has 2 labels at least, and 1 is given: write a line for each"),
        ({"logit_tolerance": 0.0}, "--logit-tolerance is 0.0: give more than 0"),
    ],
)
def test_limits_are_those_of_the_services(changes: dict[str, Any], says: str | None) -> None:
    fields = _fields(**changes)
    read = read_manifest(json.dumps({"name": "mine", **fields}).encode(), "model.json")
    if says is None:
        check_fields(fields)
        read_classifier(read)
        return
    with pytest.raises(ModelkitError, match=says):
        check_fields(fields)
    with pytest.raises(StartError):
        read_classifier(read)


@pytest.mark.nightly  # a small network does so in test_a_network_of_pytorch_is_published_with_its_graph
def test_the_weather_model_is_one_instance(model_dir: Path, images: Path, tmp_path: Path) -> None:
    """The committed weights, taken in as anybody's, have the committed manifest and answers."""
    (tmp_path / "labels.json").write_text(json.dumps(LABELS), "utf-8")
    words = ("--kind", "image", "--labels", str(tmp_path / "labels.json"), "--logit-tolerance", "0.2")
    architecture = ("--architecture", "modelkit.network:MobileNetV3Small")
    status, place = add(model_dir / "weights.safetensors", *words, *architecture, to=tmp_path / "out")
    assert status == 0
    written = manifest(place)
    committed = manifest(model_dir)
    for key in ("kind", "labels", "transform", "architecture", "logit_tolerance"):
        assert written[key] == committed[key], key
    assert written["files"]["weights.safetensors"] == committed["files"]["weights.safetensors"]
    assert check_graph(place / "model.onnx", images, model_dir).images >= 44


def _two_outputs(folder: Path) -> Path:
    model = onnx.load(classifier(folder / "given.onnx"))
    model.graph.output.append(tensor("scores", TensorProto.FLOAT, ["n", 3]))
    onnx.save(model, folder / "given.onnx")
    return folder / "given.onnx"


def _fixed(folder: Path) -> Path:
    return classifier(folder / "given.onnx", (1, 3, SIDE, SIDE))


def _good(folder: Path) -> Path:
    return classifier(folder / "given.onnx")


def _channels_last(folder: Path) -> Path:
    return save(
        folder / "given.onnx",
        [node("ReduceMean", ["x", "sides"], ["y"], keepdims=0)],
        [tensor("x", TensorProto.FLOAT, ["n", SIDE, SIDE, 3])],
        [tensor("y", TensorProto.FLOAT, ["n", 3])],
        sides=np.asarray([1, 2]),
    )


@pytest.mark.parametrize(
    ("make", "words", "status", "message"),
    [
        (_fixed, (), 1, "takes batches of 1 alone: export it with a batch that varies"),
        (
            _channels_last,
            (),
            1,
            r"not normalised images FP32 \[n, 3, crop, crop\]: export it so, channels first",
        ),
        (_two_outputs, (), 1, r"not one output FP32 \[n, classes\]: export it so"),
        (_good, ("--crop", "32"), 1, "the network takes 24 x 24 pixels: use --crop 24"),
        (_good, ("--resize", "20"), 2, "--crop 24 is larger than --resize 20: make --resize larger"),
        (
            _good,
            ("--logit-tolerance", "1e-9"),
            1,
            "8 of 8 images differ from the reference by more than 1e-09",
        ),
        (_good, ("--resize", "5000"), 1, "--resize is 5000, and services take 4096 at most: make it smaller"),
        (
            _with_fixed_sizes,
            SIZES,
            1,
            "takes images of 240 x 320 pixels, and images have any size: export it with height",
        ),
        (lambda folder: whole(folder / "given.onnx"), (), 2, "give the --resize and the --crop that it has"),
        (
            lambda folder: whole(folder / "given.onnx"),
            ("--resize", "40", "--crop", "24"),
            1,
            "other answers if the image is resized and cropped before, .*: give the --resize, --crop",
        ),
        (_no_number, (), 1, "gives NaN or infinity for images: give the --mean and --std that it has"),
        (_sigmoid, (), 1, "numbers from 0 to 1 that do not sum to 1, .*: export it without the sigmoid"),
        (_hard_sigmoid, (), 1, "numbers from 0 to 1 that do not sum to 1, .*: export it without the sigmoid"),
        (_good, ("--architecture", "a.b:c"), 2, "--architecture is for .safetensors: .*; leave it out"),
    ],
)
def test_what_is_no_image_classifier_is_refused(
    make: Callable[[Path], Path],
    words: Sequence[str],
    status: int,
    message: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    found, place = add_image(make(tmp_path), *words)
    error = capfd.readouterr().err
    assert (found, error.count("\n")) == (status, 1), error
    assert re.search(message, error), error
    assert not place.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb\n", "there are 2 labels, and given.onnx has 3 classes: give a label for each"),
        ("a\nb\na\n", "the label 'a' twice: give each class a name of its own"),
        ('["a", "b", 3]', "label 3 is empty or no text: give each class a name"),
        ("a\n\nc\n", "label 2 is empty or no text: give each class a name"),
        ("[", "cannot be read as labels .*: write a line each in UTF-8, or a JSON list"),
        ("", "2 labels at least, and 0 is given: write a line for each class"),
        ("a,b,c", "2 labels at least, and 1 is given: write a line for each class"),
        ('{"0": "a"}', "is a JSON object: write its labels as a list, in the order of classes"),
        ("a\x1b[31m\nb\nc\n", r"label 1 is 'a\\x1b\[31m', which cannot be printed: give it another"),
        ("a\x0cx\nb\nc\n", r"label 1 is 'a\\x0cx', which cannot be printed: give it another name"),
        (None, "does not exist: write the labels there, a line each"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    text: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "own.txt").write_text(text, "utf-8")
    words = ("--kind", "image", "--labels", str(tmp_path / "own.txt"))
    status, place = add(classifier(tmp_path / "given.onnx"), *words)
    error = capsys.readouterr().err
    assert (status, error.count("\n")) == (1, 1), error
    assert re.search(message, error), error
    assert not place.exists()


def test_a_program_that_takes_images_itself_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Services of PyTorch give a program normalised crops."""
    status, place = add_image(_whole_program(tmp_path), *SIZES, count=networks.CLASSES)
    error = capfd.readouterr().err
    assert (status, error.count("\n")) == (1, 1), error
    assert "which a graph alone may: export a network of normalised images" in error
    assert not place.exists()


def test_no_tolerance_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        add_image(classifier(tmp_path / "given.onnx"), "--logit-tolerance", "0")
    assert "0 is not a tolerance that a service takes" in capsys.readouterr().err


def test_examples_of_images_are_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add_image(classifier(tmp_path / "given.onnx"), "--example", "own.npz")[0] == 2
    assert "--example is for --kind tensors" in capsys.readouterr().err


def test_no_labels_are_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(classifier(tmp_path / "given.onnx"), "--kind", "image")[0] == 2
    assert "give --labels FILE, a line each" in capsys.readouterr().err
