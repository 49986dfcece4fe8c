"""What an image adds to the base that all share; and a machine that changed its speed."""

import dataclasses

import pytest

from bench.gate import judge
from bench.gate.metrics import image_own_bytes
from bench.gate.rules import rules_of
from bench.model import BASE, Ceiling, ImageSize, Layer, Run
from tests.gate.runs import EQUAL, run_of, stored

MB = 10**6


def with_images(run: Run, **own_bytes: int) -> Run:
    """The run with images: a layer of 100 MB that all share, and one of so many bytes of its own."""
    strategies = dict(run.strategies)
    for name, size in own_bytes.items():
        layers = (
            Layer("base", 100 * MB, None, "sha256:base"),
            Layer("own", size, None, f"sha256:{name}{size}"),
        )
        image = ImageSize(sum(layer.unpacked_bytes for layer in layers), None, layers)
        key = name.replace("_base", BASE)
        strategies[key] = dataclasses.replace(strategies[key], image=image)
    return dataclasses.replace(run, strategies=strategies)


def test_what_all_images_begin_with_is_nobodys_own() -> None:
    run = with_images(run_of({"onnx": EQUAL, "torch": EQUAL}), onnx=7 * MB, torch=9 * MB)
    assert image_own_bytes(run, "onnx", ()) == 7 * MB
    assert image_own_bytes(run, "torch", ()) == 9 * MB


def test_an_image_alone_does_not_tell_what_is_its_own() -> None:
    alone = run_of({"onnx": EQUAL, "torch": EQUAL}, image_bytes=None)
    assert image_own_bytes(with_images(alone, onnx=7 * MB), "onnx", ()) is None
    assert image_own_bytes(alone, "onnx", ()) is None
    assert image_own_bytes(alone, "unknown", ()) is None


@pytest.mark.parametrize(("more", "verdict"), [(0, "pass"), (1 * MB, "pass"), (5 * MB, "regression")])
def test_five_megabytes_more_are_caught_and_one_is_let_pass(more: int, verdict: str) -> None:
    rules = rules_of({"limit": [{"metric": "image_own_bytes", "increase": "2 MB"}]})
    base = with_images(run_of({"onnx": EQUAL, "torch": EQUAL}), onnx=7 * MB, torch=9 * MB)
    head = with_images(run_of({"onnx": EQUAL, "torch": EQUAL}), onnx=7 * MB + more, torch=9 * MB)
    found = {finding.strategy: finding for finding in judge(rules, stored(base, head)).findings}
    assert found["onnx"].verdict == verdict
    assert found["torch"].verdict == "pass"


@pytest.mark.parametrize(("factor", "verdict"), [(1.1, "pass"), (0.6, "invalid")])
def test_a_stored_baseline_of_a_faster_or_slower_machine_is_refused(factor: float, verdict: str) -> None:
    rules = rules_of({"primary": [{"strategy": "onnx", "metric": "throughput", "tolerance": "20%"}]})
    run = dataclasses.replace(
        run_of({"onnx": EQUAL}), ceilings=(Ceiling("small", "json", 50, 4000.0, 0.2, None, None),)
    )
    slower = dataclasses.replace(
        run, ceilings=(Ceiling("small", "json", 50, 4000.0 * factor, 0.2, None, None),)
    )
    (finding,) = judge(rules, stored(run, slower)).findings
    assert finding.verdict == verdict
    assert ("a stub's requests/s" in finding.sentence) == (verdict == "invalid")
