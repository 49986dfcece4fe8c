"""Who may import whom: services stay siblings, and the harness knows nothing of what it measures."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = {"torch_serving", "onnx_serving", "batched_serving"}
PACKAGES = SERVICES | {"serving_core", "modelkit", "bench", "examples", "peers"}
# the network's definition, and the reading of programs and weights
NETWORK = {"modelkit.network", "modelkit.modules", "modelkit.programs", "modelkit.compiled"}

# package -> the modules of this repository that it may import beside its own
ALLOWED: dict[str, set[str]] = {
    "serving_core": set(),
    # the floors of serving_core: what reads and writes requests knows of no model, process or strategy
    "serving_core.codecs": {f"serving_core.{name}" for name in ("calls", "errors", "numbers", "tensors")},
    "serving_core.models": {"serving_core.errors", "serving_core.tensors"},
    "serving_core.decoding": {"serving_core.errors", "serving_core.wanted"},
    "serving_core.http": {
        f"serving_core.{name}"
        for name in (
            "admission",
            "calls",
            "codecs",
            "dispatch",
            "errors",
            "metrics",
            "numbers",
            "service",
            "settings",
            "tensors",
        )
    },
    "torch_serving": {"serving_core"} | NETWORK,
    "onnx_serving": {"serving_core"},
    "batched_serving": {"serving_core"} | NETWORK,
    "modelkit": set(),
    "bench": set(),
    "examples": {"serving_core"},
    # the engine that they are compared with, and nothing of how it is served
    "peers": {"serving_core", "batched_serving.engine"},
    "bench.statistics": set(),
    "bench.request_sets": {"bench.model", "bench.errors", "bench.run_file"},
    "bench.load": {f"bench.{name}" for name in ("model", "errors", "cores", "statistics", "request_sets")},
    "bench.measure": {
        f"bench.{name}"
        for name in (
            *("model", "errors", "cores", "run_file", "load", "statistics", "request_sets"),
            "own_distribution",
        )
    },
    "bench.doctor": {
        f"bench.{name}" for name in ("model", "errors", "cores", "statistics", "load", "measure")
    },
    "bench.docs": {
        f"bench.{name}" for name in ("model", "errors", "run_file", "verbs", "analysis", "report")
    },
    "bench.project": {"bench.errors", "bench.own_distribution"},
    "bench.analysis": {f"bench.{name}" for name in ("model", "errors", "statistics")},
    "bench.gate": {f"bench.{name}" for name in ("model", "errors", "run_file", "statistics", "analysis")},
    "bench.report": {
        f"bench.{name}" for name in ("model", "errors", "run_file", "statistics", "analysis", "gate")
    },
}
# what the publisher runs, and what takes an ONNX graph in
WITHOUT_TORCH = [
    f"modelkit/{name}.py"
    for name in ("publish", "destination", "graph", "images", "add", "add_images", "intakes", "image_graph")
]


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide who imports whom"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


ABOVE = ("serving_core.http", "serving_core.process", "serving_core.validation", "serving_core.loop")


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def strangers(package: str) -> list[str]:
    """Imports of this repository's modules that the package has no leave to make."""
    allowed = ALLOWED[package] | {package}
    found = []
    for path in sorted((ROOT / package.replace(".", "/")).rglob("*.py")):
        for module in imported(path):
            ours = any(within(module, name) for name in PACKAGES)
            # `from modelkit import network` names the package first; the name that follows is what counts
            parent_of_allowed = any(within(name, module) for name in allowed)
            if ours and not parent_of_allowed and not any(within(module, name) for name in allowed):
                found.append(f"{path.relative_to(ROOT)} imports {module}")
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_the_design_lets_it(package: str) -> None:
    assert list((ROOT / package.replace(".", "/")).rglob("*.py")), f"{package} holds no code"
    assert strangers(package) == []


def test_what_serves_knows_nothing_of_how_it_is_reached() -> None:
    """No module at the root of serving_core, but the loop's, imports HTTP, processes or validation."""
    found = [
        f"{path.name} imports {module}"
        for path in sorted((ROOT / "serving_core").glob("*.py"))
        if path.stem != "loop"
        for module in imported(path)
        if any(within(module, above) for above in ABOVE)
    ]
    assert found == []


@pytest.mark.parametrize("file", WITHOUT_TORCH)
def test_what_the_publisher_runs_needs_no_torch(file: str) -> None:
    assert not [module for module in imported(ROOT / file) if within(module, "torch")]


def test_the_rule_sees_a_forbidden_import(tmp_path: Path) -> None:
    """The checker itself can fail: an import inside a function is found."""
    sneaky = tmp_path / "sneaky.py"
    sneaky.write_text("def f():\n    from torch_serving.engine import TorchEngine\n", encoding="utf-8")
    assert "torch_serving.engine.TorchEngine" in list(imported(sneaky))


def test_no_file_names_this_machine() -> None:
    """Nothing tracked holds the checkout's path or the user's home."""
    needles = [str(ROOT), str(Path.home()) + "/"]
    caches = {".git", ".venv", ".cache", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    made = ROOT / "rust_serving" / "target"
    for path in ROOT.rglob("*"):
        hidden = any(part in caches for part in path.parts)
        if (
            hidden
            or path.is_relative_to(made)
            or not path.is_file()
            or path.suffix not in {".py", ".md", ".yaml", ".toml", ".json", ".txt"}
        ):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not [needle for needle in needles if needle in text], (
            f"{path.relative_to(ROOT)} names this machine"
        )
