"""tools/slim.py: what goes from an image's packages, what stays, and that a slim library still loads."""

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LIST = ROOT / "tools" / "unused.txt"
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
# each is compiled by another tool, and has tables for debuggers
LIBRARIES = ("uvloop/loop", "msgpack/_cmsgpack", "httptools/parser/parser", "pybase64/_pybase64")
CALLS = {
    "uvloop": "import asyncio, uvloop; print(uvloop.run(asyncio.sleep(0, 'slim')))",
    "msgpack": "import msgpack; assert msgpack._cmsgpack; print(msgpack.unpackb(msgpack.packb('slim')))",
    "httptools": "import httptools; print(httptools.parse_url(b'http://h/slim').path.decode()[1:])",
    "pybase64": "import pybase64; print(pybase64.b64decode(pybase64.b64encode(b'slim')).decode())",
}


@pytest.fixture(scope="module")
def slim() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slim", ROOT / "tools" / "slim.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """An environment's folder of packages, with a package that has something of everything."""
    folder = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    for name in (
        *(
            "a/__init__.py",
            "a/core.py",
            "a/__pycache__/core.cpython-311.pyc",
            "a/tests/test_a.py",
            "a/core.pyi",
            "a/extra/licenses/MIT.txt",
            "a/extra/licenses/__init__.py",
        ),
        *("a/extra/__init__.py", "a/extra/LICENSE.txt", "a/extra/deep/more.py", "a/include/a.h"),
        *(
            "a/extra/__pycache__/__init__.cpython-311.pyc",
            "a-1.0.dist-info/METADATA",
            "a-1.0.dist-info/RECORD",
        ),
        *("a-1.0.dist-info/licenses/LICENSE", "gone.py", "__pycache__/gone.cpython-311.pyc"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("" if name.endswith("RECORD") else name, encoding="utf-8")
    return folder


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def recorded(packages: Path) -> list[str]:
    return (packages / "a-1.0.dist-info/RECORD").read_text(encoding="utf-8").splitlines()


def run(packages: Path, *lines: str) -> None:
    listed = packages.parents[3] / "unused.txt"
    listed.write_text("# a comment\n\n" + "\n".join(lines), encoding="utf-8")
    command = [sys.executable, str(ROOT / "tools" / "slim.py"), str(packages.parents[2]), str(listed)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_what_is_listed_goes_with_its_bytecode_and_licences_stay(packages: Path) -> None:
    run(
        packages, "**/tests  tests", "**/*.pyi  types", "a/extra  unused", "gone.py  unused", "none  not here"
    )
    assert left(packages) == {
        *("a/__init__.py", "a/core.py", "a/__pycache__/core.cpython-311.pyc", "a/include/a.h"),
        *("a/extra/LICENSE.txt", "a/extra/licenses/MIT.txt"),
        *("a-1.0.dist-info/METADATA", "a-1.0.dist-info/RECORD", "a-1.0.dist-info/licenses/LICENSE"),
    }


def test_a_package_says_what_it_still_has(packages: Path) -> None:
    """What lists a package's files, or checks them, then finds each of them."""
    lines = [
        "a/__init__.py,sha256=x,13",
        "a/core.pyi,sha256=y,10",
        "a/core.py,sha256=z,999",
        "a/extra/LICENSE.txt,,",
    ]
    record = packages / "a-1.0.dist-info/RECORD"
    record.write_text("\n".join(lines), encoding="utf-8")
    run(packages, "**/*.pyi  types")
    # a file of another length than was recorded is a library that was made slim
    assert recorded(packages) == [lines[0], "a/core.py,,", lines[3]]
    once = record.stat()
    run(packages)
    assert record.stat() == once


def test_a_pattern_that_takes_all_leaves_what_states_the_licence(packages: Path) -> None:
    run(packages, "*  all")
    assert left(packages) == {
        *("a/extra/LICENSE.txt", "a/extra/licenses/MIT.txt"),
        *("a-1.0.dist-info/METADATA", "a-1.0.dist-info/RECORD", "a-1.0.dist-info/licenses/LICENSE"),
    }


def test_a_link_goes_and_what_it_leads_to_stays(packages: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.py").touch()
    (packages / "linked").symlink_to(outside)
    run(packages, "linked  a link")
    assert (outside / "kept.py").exists()
    assert not (packages / "linked").is_symlink()


def test_each_line_of_the_list_has_a_pattern_and_a_reason(slim: ModuleType) -> None:
    patterns = list(slim.patterns(LIST.read_text(encoding="utf-8")))
    assert len(patterns) == len(set(patterns)) > 20
    # what a pattern of one word takes is a package or a file, never everything
    assert not {"*", "**", "**/*"} & set(patterns)
    with pytest.raises(ValueError, match="torch/share has no reason"):
        list(slim.patterns("numpy/f2py  unused\ntorch/share\n"))


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries of images are Linux's")
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_slim_library_loads_and_computes_and_a_second_call_changes_nothing(
    name: str, packages: Path, slim: ModuleType
) -> None:
    package = name.partition("/")[0]
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    source = Path(found.origin).parent
    shutil.copytree(source, packages / package)
    library = packages / f"{name}{SUFFIX}"
    before = library.stat()
    run(packages)
    gained = before.st_size - library.stat().st_size
    assert gained >= slim.LEAST_GAIN_BYTES
    assert library.stat().st_mode == before.st_mode
    command = [sys.executable, "-c", CALLS[package]]
    done = subprocess.run(
        command, cwd=packages, capture_output=True, text=True, timeout=60, check=True, env={"PYTHONPATH": "."}
    )
    assert done.stdout.strip() == "slim"
    once = library.stat()
    run(packages)
    assert library.stat() == once


def test_what_is_no_library_is_left_as_it_is(slim: ModuleType, tmp_path: Path) -> None:
    for content in (b"", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(200), b"GROUP ( libc.so.6 )", bytes(100)):
        assert slim.without_tables(content) == content
    script = tmp_path / "x.so"
    script.write_bytes(b"GROUP ( libc.so.6 )")
    assert slim.strip(script) == 0


def test_libraries_of_cuda_are_not_touched(slim: ModuleType, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "nvidia" / "lib" / "a.so", tmp_path / "torch" / "a.so.1"
    for path in (theirs, ours):
        path.parent.mkdir(parents=True)
        path.touch()
    assert slim.may_strip(ours)
    assert not slim.may_strip(theirs)
