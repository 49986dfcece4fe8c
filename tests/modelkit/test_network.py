"""The network is MobileNetV3-small by name, shape and count, so that foreign weights load strictly."""

import ast
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import modelkit.network
from modelkit import ModelkitError
from modelkit.network import MobileNetV3Small
from modelkit.reference import load_backbone, load_network

# kernel, expanded, out, squeezed (0: none); the paper's table for the small network, 16 channels in
_TABLE = [
    (3, 16, 16, 8),
    (3, 72, 24, 0),
    (3, 88, 24, 0),
    (5, 96, 40, 24),
    (5, 240, 40, 64),
    (5, 240, 40, 64),
    (5, 120, 48, 32),
    (5, 144, 48, 40),
    (5, 288, 96, 72),
    (5, 576, 96, 144),
    (5, 576, 96, 144),
]


def _conv_norm(prefix: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    channels = shape[:1]
    norm = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), channels)
    return {
        f"{prefix}.0.weight": shape,
        **{f"{prefix}.1.{name}": size for name, size in norm.items()},
        f"{prefix}.1.num_batches_tracked": (),
    }


def _expected_shapes(classes: int) -> dict[str, tuple[int, ...]]:
    shapes = _conv_norm("features.0", (16, 3, 3, 3))
    inputs = 16
    for index, (kernel, expanded, outputs, squeezed) in enumerate(_TABLE, start=1):
        block, part = f"features.{index}.block", 0
        if expanded != inputs:
            shapes |= _conv_norm(f"{block}.0", (expanded, inputs, 1, 1))
            part = 1
        shapes |= _conv_norm(f"{block}.{part}", (expanded, 1, kernel, kernel))
        part += 1
        if squeezed:
            for name, shape in (("fc1", (squeezed, expanded)), ("fc2", (expanded, squeezed))):
                shapes[f"{block}.{part}.{name}.weight"] = (*shape, 1, 1)
                shapes[f"{block}.{part}.{name}.bias"] = shape[:1]
            part += 1
        shapes |= _conv_norm(f"{block}.{part}", (outputs, expanded, 1, 1))
        inputs = outputs
    shapes |= _conv_norm("features.12", (576, 96, 1, 1))
    shapes |= {"classifier.0.weight": (1024, 576), "classifier.0.bias": (1024,)}
    return shapes | {"classifier.3.weight": (classes, 1024), "classifier.3.bias": (classes,)}


def test_has_the_parameters_that_the_seed_states() -> None:
    assert sum(parameter.numel() for parameter in MobileNetV3Small(11).parameters()) == 1_529_131


def test_upstream_count_with_a_thousand_classes() -> None:
    assert sum(parameter.numel() for parameter in MobileNetV3Small(1000).parameters()) == 2_542_856


def test_state_dict_has_the_upstream_names_and_shapes_in_order() -> None:
    found = {name: tuple(value.shape) for name, value in MobileNetV3Small(11).state_dict().items()}
    assert list(found.items()) == list(_expected_shapes(11).items())


def test_batch_norm_and_dropout_are_the_papers() -> None:
    modules = list(MobileNetV3Small().modules())
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.001, 0.01)}
    assert [module.p for module in modules if isinstance(module, nn.Dropout)] == [0.2]


def test_strides_bring_224_pixels_down_to_7() -> None:
    features = MobileNetV3Small().eval().features(torch.zeros(1, 3, 224, 224))
    assert features.shape == (1, 576, 7, 7)


def test_a_missing_weight_is_refused(tmp_path: Path) -> None:
    state = MobileNetV3Small().state_dict()
    del state["features.4.block.2.fc1.bias"]
    file = tmp_path / "weights.pt"
    torch.save(state, file)
    with pytest.raises(ModelkitError, match=r"fc1\.bias"):
        load_network(file)


def test_upstream_weights_keep_all_but_the_last_layer(tmp_path: Path) -> None:
    upstream = MobileNetV3Small(1000)
    file = tmp_path / "upstream.pth"
    torch.save(upstream.state_dict(), file)
    network = load_backbone(file)
    assert network.classifier[3].weight.shape == (11, 1024)
    assert torch.equal(network.features[5].block[0][0].weight, upstream.features[5].block[0][0].weight)


def test_network_imports_only_what_the_services_that_take_it_have() -> None:
    tree = ast.parse(Path(modelkit.network.__file__).read_text("utf-8"))
    roots = {
        node.module.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
    }
    roots |= {
        name.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert roots <= {"torch", "safetensors", *sys.stdlib_module_names}
