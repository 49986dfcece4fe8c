"""Where Linux's own modules, calls and files are missing, bench and modelkit start and say what cannot be.

It is shown by the pretence of tests/running/elsewhere alone, and not on macOS or Windows themselves.
"""

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from msgspec import UNSET

from bench.cores import Cores
from bench.measure.machine.fingerprint import fingerprint
from bench.model import Run, RunSettings
from bench.run_file import read_run
from tests.running.exit_codes import code_of
from tests.running.processes import ROOT

SYSTEMS = ("darwin", "win32")
RUN = ROOT / "results" / "20261129T041207Z-96c4969"
EVERYTHING = """
import importlib, pkgutil, sys
import bench, modelkit
for package in (bench, modelkit):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__") and ".vendored" not in found.name:
            importlib.import_module(found.name)
"""
COMMANDS = """
import contextlib, io, json, sys
from bench.cli import main
from bench.verbs import VERBS
from modelkit.__main__ import main as modelkit
commands = [["--help"], *([verb, "--help"] for verb in VERBS), *json.loads(sys.argv[1])]
for program, words in [*((main, words) for words in commands), (modelkit, ["--help"])]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            code = program(words)
        except SystemExit as end:
            code = end.code
    print(json.dumps([words, code or 0, len(said.getvalue())]))
"""


def python(system: str, *words: object) -> "subprocess.CompletedProcess[str]":
    """Python as on that system, in the checkout's folder."""
    places = os.pathsep.join([str(ROOT / "tests/running/elsewhere"), str(ROOT)])
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": places, "ELSEWHERE": system},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_pretence_hides_what_that_system_lacks(system: str) -> None:
    """Else the tests below would show nothing."""
    code = """
__package__ = "bench"
import os, signal, socket, sys
from pathlib import Path
assert not hasattr(os, "sched_setaffinity") and not hasattr(os, "eventfd") and hasattr(os, "open")
assert not hasattr(signal, "SIGRTMIN") and not hasattr(socket, "AF_NETLINK")
assert hasattr(os, "killpg") == hasattr(signal, "SIGKILL") == (sys.platform == "darwin")
try:
    import fcntl
    assert sys.platform == "darwin"
except ImportError:
    assert sys.platform == "win32"
try:
    Path("/proc/stat").read_text()
except FileNotFoundError:
    print(sys.platform)
"""
    done = python(system, "-c", code)
    assert (done.stdout.strip(), done.stderr) == (system, "")


def pretence() -> ModuleType:
    """The lists of the pretence, which is not begun here."""
    spec = importlib.util.spec_from_file_location("lists", ROOT / "tests/running/elsewhere/sitecustomize.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def done_by_import(node: ast.AST) -> Iterator[ast.AST]:
    """All that runs when a module is imported: what is in no function."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.IfExp):
            yield child
            yield from done_by_import(child)


def test_no_import_needs_what_windows_lacks() -> None:
    """The rule that the nightly tests show by importing; `x if hasattr(...) else y` is a guard."""
    lists = pretence()
    absent = lists.MODULES["win32"]
    names = {
        f"{module}.{name}"
        for table in (lists.OF_LINUX, lists.OF_UNIX)
        for module, text in table.items()
        for name in text.split()
    }
    assert {"os.sched_getaffinity", "os.sysconf", "signal.SIGKILL"} <= names
    found = []
    for file in [*(ROOT / "bench").rglob("*.py"), *(ROOT / "modelkit").rglob("*.py")]:
        for node in done_by_import(ast.parse(file.read_text(encoding="utf-8"))):
            needed = []
            if isinstance(node, ast.Import):
                needed = [one.name for one in node.names if one.name.partition(".")[0] in absent]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                needed = [node.module or ""] if (node.module or "").partition(".")[0] in absent else []
                needed += [f"{node.module}.{one.name}" for one in node.names]
                needed = [one for one in needed if one in names or one in absent]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                needed = [f"{node.value.id}.{node.attr}"]
                needed = [one for one in needed if one in names]
            found += [f"{file.relative_to(ROOT)}:{node.lineno}: {one}" for one in needed]
    assert found == []


@pytest.mark.nightly
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_module_can_be_imported(system: str) -> None:
    done = python(system, "-W", "ignore", "-c", EVERYTHING)
    assert done.returncode == 0, done.stderr


@pytest.mark.nightly
@pytest.mark.parametrize("system", SYSTEMS)
def test_what_measures_nothing_works(system: str, tmp_path: Path) -> None:
    """Every help, the plan of a run, and all that reads stored runs."""
    for name in (RUN.name, "again"):
        (tmp_path / name).mkdir()
        shutil.copy(RUN / "run.json", tmp_path / name)
    commands = [
        ["plan", "--quick"],
        ["report", str(RUN), "--format", "csv-summary"],
        ["index", str(tmp_path)],
        ["compare", str(RUN), str(tmp_path / "again")],
        ["gate", "--baseline", str(RUN), "--head", str(tmp_path / "again")],
    ]
    done = python(system, "-c", COMMANDS, json.dumps(commands))
    assert done.returncode == 0, done.stderr
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    assert [words for words, _, _ in ended if words in commands] == commands
    assert [(words, code, said) for words, code, said in ended if code not in (0, 5) or not said] == []


@pytest.mark.nightly
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_run_says_once_what_cannot_be_pinned(system: str, project: Path, tmp_path: Path) -> None:
    """Local processes are measured as far as psutil tells of them; what is not told is unknown, not zero."""
    words = "--runtime process --quick --warmup-s 0.3 --window-s 1 --startups 0 --loop-seconds 0.2"
    places = ("--root", project, "--results", tmp_path / "results", "--concurrency", "4")
    done = python(system, "-m", "bench", "run", *places, *words.split(), "--max-other-cpu", "100%")
    assert "Traceback" not in done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert done.returncode == code_of(found), done.stderr
    assert [(one["wrong_answers"], one["error"]) for one in found["trials"]] == [(0, None)] * 4
    assert [code for code in doubts_of(read_run(folder)) if code == "not_pinned"] == ["not_pinned"]
    assert found["environment"]["driver_pinned"] is False
    assert found["environment"]["os"].startswith({"darwin": "Darwin", "win32": "Windows"}[system])
    assert done.stderr.count("whether other processes used the cores of the service and the driver is") == 1
    assert done.stderr.count("whether the host stole time of the service core is not told here") == 1
    assert "this system keeps no process to chosen cores" in (folder / "report.md").read_text("utf-8")


def doubts_of(run: Run) -> list[str]:
    return [doubt.code for doubt in run.doubts]


def test_the_environment_says_that_the_driver_is_not_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS and Windows have no such call; where there is one nothing needs to be said."""
    cores = Cores((0,), (1,), (0, 1))
    assert fingerprint(ROOT, cores, RunSettings()).driver_pinned is UNSET
    monkeypatch.delattr(os, "sched_setaffinity")
    assert fingerprint(ROOT, cores, RunSettings()).driver_pinned is False
