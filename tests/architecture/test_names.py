"""A name means one thing: no two classes of the repository and no two modules of bench share theirs."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("bench", "serving_core", "torch_serving", "onnx_serving", "batched_serving"),
    *("modelkit", "examples", "peers", "tools"),
)

# rooms whose files are of one kind each: the room says which kind, the file's name what it is about
ROOMS_OF_A_KIND = {
    "bench/verbs": "a verb's file has the verb's name",
    "bench/measure/steps": "a step's file has the step's name",
    "bench/doctor": "an examination's file has the name of what is examined",
    "bench/report/sections": "a section's file has the name of its subject",
    "bench/report/plots": "a plot's file has the name of its subject",
    "bench/report/writers": "a writer's file has the name of its format",
}


def sources() -> Iterable[Path]:
    """Every Python file of the repository but its tests."""
    return (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))


def classes(path: Path) -> list[str]:
    """The public classes that a file defines at its top."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def repeated(names: Iterable[tuple[str, Path]]) -> Mapping[str, list[str]]:
    """The names that several files have, with these files."""
    files: dict[str, list[str]] = defaultdict(list)
    for name, path in names:
        files[name].append(path.relative_to(ROOT).as_posix())
    return {name: found for name, found in files.items() if len(found) > 1}


def test_a_class_name_means_one_thing() -> None:
    found = [(name, path) for path in sources() for name in classes(path)]
    assert len(found) > 200
    assert repeated(found) == {}


def test_a_module_name_of_bench_means_one_thing_but_for_the_rooms_of_a_kind() -> None:
    found: dict[str, list[tuple[str, Path]]] = {"": []}
    for path in (path for path in sources() if path.is_relative_to(ROOT / "bench")):
        room = path.parent.relative_to(ROOT).as_posix()
        if path.stem not in ("__init__", "__main__"):
            found.setdefault(room if room in ROOMS_OF_A_KIND else "", []).append((path.stem, path))
    assert found.keys() == {"", *ROOMS_OF_A_KIND}
    assert {room: repeated(names) for room, names in found.items() if repeated(names)} == {}


def test_a_second_class_of_a_name_is_seen() -> None:
    one, other = ROOT / "a.py", ROOT / "b.py"
    assert repeated([("Part", one), ("Whole", one), ("Part", other)]) == {"Part": ["a.py", "b.py"]}
