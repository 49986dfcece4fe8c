"""What an image adds to the base that all share; and a machine that changed its speed."""

import dataclasses
from collections.abc import Mapping

import pytest

from bench.gate import Batch, RuleFinding, judge
from bench.gate.limit_metrics import image_own_bytes
from bench.gate.rules import rules_of
from bench.model import Ceiling, Directory, ImageSize, Layer, Run
from bench.report.verdict.verdict_sentences import finding_sentence
from tests.gate.runs import BASE, EQUAL, run_of, stored

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
        strategies[name] = dataclasses.replace(strategies[name], image=image)
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


RULES = rules_of({"limit": [{"metric": "image_own_bytes", "increase": "2 MB"}]})
OS = ("os", 120), ("pip", 20)
NEW_OS = ("os2", 125), ("pip2", 20)
TORCH, ONNX = ("torch", 1000), ("onnx", 230)
Stack = tuple[tuple[str, int], ...]
USUAL: dict[str, Stack] = {
    "torch": (*OS, TORCH, ("app t", 1)),
    "onnx": (*OS, ONNX, ("app o", 1)),
    "batched": (*OS, TORCH, ("app b", 1)),
}


def imaged(stacks: Mapping[str, Stack]) -> Run:
    """A run whose images have these layers, each of a digest of its own and so many MB."""
    run = run_of(dict.fromkeys(stacks, EQUAL))
    strategies = {}
    for name, stack in stacks.items():
        layers = tuple(Layer("", size * MB, None, f"sha256:{digest}") for digest, size in stack)
        image = ImageSize(sum(layer.unpacked_bytes for layer in layers), None, layers)
        strategies[name] = dataclasses.replace(run.strategies[name], image=image)
    return dataclasses.replace(run, strategies=strategies)


def beside_each_other(base: Mapping[str, Stack], head: Mapping[str, Stack]) -> Batch:
    """Both sides in one run."""
    run = imaged({**head, **{name + BASE: stack for name, stack in base.items()}})
    return Batch(run, run, paired=True)


def grown(name: str, place: int, stack: Stack, by: int = 500) -> Stack:
    """The stack with one layer changed and larger."""
    changed = (f"{name}: {stack[place][0]} anew", stack[place][1] + by)
    return (*stack[:place], changed, *stack[place + 1 :])


def on_new_os(stacks: Mapping[str, Stack]) -> dict[str, Stack]:
    return {name: (*NEW_OS, *stack[2:]) for name, stack in stacks.items()}


def kept(*names: str) -> dict[str, Stack]:
    return {name: USUAL[name] for name in names}


def verdicts(batch: Batch) -> dict[str, str]:
    return {one.strategy: one.verdict for one in judge(RULES, batch).findings}


@pytest.mark.parametrize("place", [2, 3], ids=["packages", "code"])
@pytest.mark.parametrize("names", [("torch", "onnx", "batched"), ("torch", "batched"), ("torch",)])
def test_what_a_strategy_gained_is_found_whatever_else_was_measured(
    names: tuple[str, ...], place: int
) -> None:
    """Packages that all the measured ones share too, as torch and batched do."""
    same = kept(*names)
    shared = "torch"
    head = {
        name: grown(shared, place, stack) if name in ("torch", "batched") else stack
        for name, stack in same.items()
    }
    expected = {name: "pass" if name == "onnx" else "regression" for name in names}
    for batch in (
        stored(imaged(USUAL), imaged(head)),
        stored(imaged(same), imaged(head)),
        beside_each_other(same, head),
    ):
        assert verdicts(batch) == expected
    assert set(verdicts(stored(imaged(USUAL), imaged(same))).values()) == {"pass"}
    assert set(verdicts(beside_each_other(same, same)).values()) == {"pass"}


def test_a_new_base_image_is_nobodys_regression_and_hides_none() -> None:
    moved = on_new_os(USUAL)
    assert set(verdicts(stored(imaged(USUAL), imaged(moved))).values()) == {"pass"}
    assert set(verdicts(beside_each_other(USUAL, moved)).values()) == {"pass"}
    head = {**moved, "torch": grown("torch", 2, moved["torch"])}
    assert verdicts(stored(imaged(USUAL), imaged(head)))["torch"] == "regression"
    two = on_new_os({name: grown("torch", 2, USUAL[name]) for name in ("torch", "batched")})
    assert set(verdicts(stored(imaged(USUAL), imaged(two))).values()) == {"regression"}


def test_a_base_image_with_a_layer_more_or_fewer_is_nobodys_regression() -> None:
    more = {name: (("os3", 100), ("python", 40), *stack[1:]) for name, stack in USUAL.items()}
    assert set(verdicts(stored(imaged(USUAL), imaged(more))).values()) == {"pass"}
    assert set(verdicts(stored(imaged(more), imaged(USUAL))).values()) == {"pass"}


@pytest.mark.parametrize("other", [(("alpine", 8), ("app", 3)), (("os", 120), ("app", 3))])
def test_a_new_strategy_changes_nothing_for_the_others(other: Stack) -> None:
    found = verdicts(stored(imaged(USUAL), imaged({**USUAL, "mosec": other})))
    assert found == {"torch": "pass", "onnx": "pass", "batched": "pass", "mosec": "invalid"}


def test_of_one_strategy_alone_a_relative_bound_is_of_the_whole_image() -> None:
    rules = rules_of({"limit": [{"metric": "image_own_bytes", "increase": "1%"}]})
    one = kept("onnx")
    for by, verdict in ((3, "pass"), (4, "regression")):
        head = {"onnx": grown("onnx", 3, one["onnx"], by)}
        (finding,) = judge(rules, beside_each_other(one, head)).findings
        assert (finding.verdict, finding.base) == (verdict, 371 * MB)


def test_what_one_image_alone_may_have_of_its_own_is_not_known() -> None:
    rules = rules_of({"limit": [{"metric": "image_own_bytes", "most": "900 MB"}]})
    (finding,) = judge(rules, beside_each_other(kept("onnx"), kept("onnx"))).findings
    assert finding.verdict == "invalid"
    assert "no other image of head begins with the same layer" in finding_sentence(finding)
    found = judge(rules, beside_each_other(kept("onnx", "torch"), kept("onnx", "torch"))).findings
    assert [(one.head, one.verdict) for one in found] == [(231 * MB, "pass"), (1001 * MB, "regression")]


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
    assert ("a stub's requests/s" in finding_sentence(finding)) == (verdict == "invalid")


def with_pytorch(run: Run, *packages: str) -> Run:
    """The run with an image of torch that holds these packages."""
    torch = run.strategies["torch"]
    assert torch.image is not None
    directories = tuple(Directory(f"site-packages/{name}", 900 * MB) for name in packages)
    image = dataclasses.replace(torch.image, directories=directories)
    return dataclasses.replace(
        run, strategies={**run.strategies, "torch": dataclasses.replace(torch, image=image)}
    )


@pytest.mark.parametrize("limit", ["image_own_bytes", "image_unpacked_bytes"])
def test_bytes_of_another_build_of_pytorch_are_not_judged(limit: str) -> None:
    """A machine that reaches PyPI alone has the build with CUDA, gigabytes larger, whatever head changed."""
    base = with_pytorch(imaged(USUAL), "torch", "sympy")
    head = with_pytorch(imaged({**USUAL, "torch": (*OS, ("cuda", 4800), ("app t", 1))}), "nvidia", "torch")
    rules = rules_of({"limit": [{"metric": limit, "increase": "2 MB", "strategy": "torch"}]})

    def judged(before: Run, now: Run) -> RuleFinding:
        (found,) = [f for f in judge(rules, stored(before, now)).findings if f.strategy == "torch"]
        return found

    assert judged(head, head).verdict == "pass"
    assert judged(imaged(USUAL), imaged(USUAL)).verdict == "pass"
    found = judged(base, head)
    assert found.verdict == "invalid"
    assert "base has PyTorch's build for CPU and head the one for CUDA: set WHEELS_DIR" in finding_sentence(
        found
    )
