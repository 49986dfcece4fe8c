"""Which layers images share: told by digest, empty layers left out."""

import dataclasses
from pathlib import Path

from bench.analysis.image_overlap import Overlap, overlap, pytorch_builds, shared_layers
from bench.analysis.run_analysis import analyse
from bench.model import Directory, ImageSize, Layer, Run
from bench.report.run_screen import render as terminal
from bench.report.sections.deployment import image_sizes
from bench.report.writers import markdown

BASE = Layer("base", 100, 40, "sha256:base")
PACKAGES = Layer("COPY packages", 900, 300, "sha256:packages")
EMPTY = Layer("WORKDIR /app", 0, 20, "sha256:empty")


def with_images(run: Run, stacks: dict[str, tuple[Layer, ...]]) -> Run:
    strategies = {
        name: dataclasses.replace(
            run.strategies[name],
            image=ImageSize(sum(layer.unpacked_bytes for layer in layers), None, layers),
        )
        for name, layers in stacks.items()
    }
    return dataclasses.replace(run, strategies=strategies)


def test_packages_shared_by_two_of_three_are_told_apart_from_the_base(run: Run) -> None:
    own = Layer("COPY packages", 900, 300, "sha256:other")
    found = with_images(
        run,
        {"torch": (BASE, PACKAGES, EMPTY), "onnx": (BASE, own, EMPTY), "batched": (BASE, PACKAGES, EMPTY)},
    )
    assert shared_layers(found) == (BASE,)
    assert overlap(found, "torch") == Overlap(900, ("batched",))
    assert overlap(found, "batched") == Overlap(900, ("torch",))
    assert overlap(found, "onnx") == Overlap(0, ())


def test_a_layer_that_an_image_holds_twice_is_shared_once(run: Run) -> None:
    own = Layer("COPY packages", 900, 300, "sha256:other")
    found = with_images(
        run,
        {
            "torch": (BASE, PACKAGES, own, PACKAGES),
            "onnx": (BASE, EMPTY),
            "batched": (BASE, own, PACKAGES, EMPTY),
        },
    )
    assert overlap(found, "torch") == Overlap(1800, ("batched",))
    assert overlap(found, "batched") == Overlap(1800, ("torch",))


def holding(run: Run, packages: dict[str, tuple[str, ...]]) -> Run:
    """The run with images whose largest directories are these packages."""
    strategies = dict(run.strategies)
    for name, found in packages.items():
        image = strategies[name].image
        assert image is not None
        directories = tuple(Directory(f"site-packages/{package}", 1000) for package in found)
        strategies[name] = dataclasses.replace(
            strategies[name], image=dataclasses.replace(image, directories=directories)
        )
    return dataclasses.replace(run, strategies=strategies)


def section(run: Run, folder: Path) -> str:
    return "\n".join(markdown.blocks(image_sizes(analyse(run, folder))))


CPU, CUDA = ("torch", "sympy"), ("nvidia", "torch", "triton")
HELD: dict[str, tuple[str, ...]] = {"torch": CPU, "onnx": ("onnxruntime", "numpy"), "batched": CPU}


def test_sizes_say_which_build_of_pytorch_they_are_of(run: Run, tmp_path: Path) -> None:
    for_cpus = holding(run, HELD)
    assert pytorch_builds(for_cpus) == {"CPU": ["torch", "batched"]}
    text = " ".join(terminal(for_cpus).split())
    assert "PyTorch of torch, batched is its build for CPUs" in text
    assert "PyTorch in the images of torch, batched is its build for CPUs." in section(for_cpus, tmp_path)


def test_each_build_is_named_with_its_images(run: Run, tmp_path: Path) -> None:
    both = holding(run, {**HELD, "torch": CUDA})
    assert pytorch_builds(both) == {"CUDA": ["torch"], "CPU": ["batched"]}
    assert "with CUDA's packages" in section(both, tmp_path)


def test_images_whose_files_are_not_known_name_no_build(run: Run) -> None:
    unknown = holding(run, dict.fromkeys(HELD, ()))
    assert pytorch_builds(unknown) == {}
    assert "PyTorch" not in terminal(unknown)
