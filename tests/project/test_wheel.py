"""The wheel: it holds all that it needs, and its programs work where there is no checkout."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.own_distribution import own_distribution
from bench.project.vendored import VARIANT, source_files, sources
from tests.project.conftest import OFFLINE, pip

ROOT = Path(__file__).parents[2]
RUN = ROOT / "results" / "20261129T041207Z-96c4969"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def tracked(*places: str) -> set[str]:
    """What git holds there, without the variants of images, which no project takes along."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *places],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [name for name in listed.stdout.splitlines() if not name.endswith(VARIANT)]
    return {name for name in names if (ROOT / name).is_file()}


def test_the_wheel_holds_the_packages_with_their_data_and_the_services_sources(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    vendored = {f"bench/project/vendored/{name}" for name in tracked(*sources(ROOT))}
    assert held == tracked("bench", "modelkit") | vendored


def test_a_wheel_of_the_source_distribution_is_the_same(wheel: Path, tmp_path: Path) -> None:
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    sources = wheel.parent.with_name("sources-of-the-wheel")
    subprocess.run([sys.executable, "-c", code], cwd=sources, capture_output=True, check=True, timeout=120)
    (archive,) = tmp_path.glob("*.tar.gz")
    pip("wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", "made", str(archive), cwd=tmp_path)
    (again,) = (tmp_path / "made").glob("*.whl")
    first, second = (zipfile.ZipFile(file) for file in (wheel, again))
    with first, second:
        assert sorted(second.namelist()) == sorted(first.namelist())


def test_what_is_built_from_is_what_git_holds() -> None:
    """A file that only this checkout has goes into no wheel."""
    assert {str(file) for file in source_files(ROOT)} == tracked(*sources(ROOT))


def test_help_names_the_program_as_it_was_called(program: Command) -> None:
    script, module = program("bench", "--help"), program("python", "-m", "bench", "--help")
    assert script.stdout.startswith("usage: bench ")
    assert module.stdout.startswith("usage: python -m bench ")
    assert script.stdout.partition("]")[2] == module.stdout.partition("]")[2]


def test_modelkit_is_a_program_too(program: Command) -> None:
    shown = program("modelkit", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "publish" in shown.stdout


def test_the_installed_package_is_not_the_checkout(program: Command) -> None:
    said = program("python", "-c", "import bench; print(bench.__file__)").stdout
    assert "site-packages" in said
    assert str(ROOT) not in said


def test_a_run_says_which_version_measured_it(program: Command) -> None:
    """Of a checkout the commit says more, so there it says nothing."""
    code = (
        "from pathlib import Path; from bench.cores import choose_cores; "
        "from bench.model import RunSettings; "
        "from bench.measure.machine.fingerprint import fingerprint; "
        "print(fingerprint(Path(), choose_cores(None, None), RunSettings()).libraries['model-serving-bench'])"
    )
    done = program("python", "-c", code)
    assert (
        done.stdout.strip()
        == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    )
    assert own_distribution() is None


def test_a_checkout_that_a_wheel_was_built_in_is_still_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build leaves its metadata beside the packages, where Python finds it."""
    metadata = tmp_path / "model_serving_bench.egg-info"
    metadata.mkdir()
    (metadata / "PKG-INFO").write_text("Name: model-serving-bench\nVersion: 9\n", encoding="utf-8")
    (tmp_path / "bench").symlink_to(ROOT / "bench")
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.metadata.version("model-serving-bench") == "9"
    assert own_distribution() is None


def test_doctor_works_anywhere(program: Command) -> None:
    """Whether or not this machine is fit: every check is made, that of the driver's own processes too."""
    done = program("bench", "doctor", "--quick", "--json")
    findings = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert "driver" in findings, done.stderr
    assert not [one for one in findings.values() if "could not be checked" in one["what"]], findings


def test_report_makes_tables_page_and_plots(program: Command, tmp_path: Path) -> None:
    folder = tmp_path / RUN.name
    shutil.copytree(RUN, folder, ignore=shutil.ignore_patterns("plots", "report.*"))
    done = program("bench", "report", folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").stat().st_size > 50_000
    assert list((folder / "plots").glob("*.png"))


def test_init_and_plan_work_where_there_is_no_checkout(program: Command, wheel: Path, tmp_path: Path) -> None:
    """The project has the sources that the wheel brought, and the wheel itself for its workflow."""
    made = program("bench", "init", "prices", "--model", ROOT / "model")
    assert (made.returncode, made.stdout.splitlines()[0]) == (
        0,
        f"project prices: {len(list_of_files(tmp_path / 'prices')) - 1} files, strategies torch, batched",
    ), made.stderr
    held = {str(file) for file in source_files(ROOT)} - {"compose.yaml"}
    services = tmp_path / "prices" / "services"
    assert {str(file.relative_to(services)) for file in list_of_files(services)} == held | {"project.json"}
    harness = tmp_path / "prices" / "harness"
    assert (harness / wheel.name).read_bytes() == wheel.read_bytes()
    said = program("bench", "plan", "--images", ROOT / "images", cwd=tmp_path / "prices")
    assert said.returncode == 0, said.stderr
    assert "trial torch small" in said.stdout
    again = program("bench", "init", "prices", "--update")
    assert again.stdout == "project prices: 0 files written, 0 removed\n"


def list_of_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_without_a_compose_file_the_remedy_is_said(program: Command) -> None:
    done = program("bench", "plan")
    assert (done.returncode, done.stderr) == (
        2,
        "bench: no compose.yaml here: run where it is, or name its folder with --root\n",
    )


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize(
    ("module", "start", "words", "says"),
    [
        ("bench", "start", ["plan"], "bench: the package msgspec is missing: install what bench needs, "),
        (
            "modelkit",
            "main",
            ["add", "a.onnx", "--name", "a", "--to", "made"],
            "modelkit add: the package numpy is missing: install what modelkit needs, ",
        ),
    ],
)
def test_a_missing_package_is_said_in_one_line(
    wheel: Path, tmp_path: Path, installed: bool, module: str, start: str, words: list[str], says: str
) -> None:
    """The wheel without its extra, or the checkout, and no other package in sight."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    folder, what = (tmp_path, "model-serving-bench") if installed else (ROOT, ".")
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); from {module}.__main__ import {start}; "
        f"sys.exit({start}())"
    )
    command = [sys.executable, "-I", "-S", "-c", code, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (1, f"{says}pip install '{what}[{module}]'\n")


def test_a_wheel_holds_nothing_of_the_build_before(wheel: Path, tmp_path: Path) -> None:
    """A module that is gone from the sources is gone from the next wheel that the same folder builds."""
    copy = tmp_path / "copy"
    shutil.copytree(
        wheel.parent.with_name("sources-of-the-wheel"), copy, ignore=shutil.ignore_patterns("build")
    )
    stale = copy / "build" / "lib" / "bench" / "gone.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("", encoding="utf-8")
    pip("wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", "made", ".", cwd=copy)
    (again,) = (copy / "made").glob("*.whl")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(second.namelist()) == sorted(first.namelist())
