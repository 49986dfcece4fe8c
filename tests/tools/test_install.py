"""tools/install.sh with a stand-in for pip: where PyTorch is looked for, in which order, and what is said."""

import hashlib
import os
import stat
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
OTHER_INDEX = "https://index.example/whl"
MAY_HANG_S = 10

# `python -m pip …` writes what it was asked for and does as the files beside it say; the rest is Python's own
PYTHON = """#!{python}
import os, sys, time
from pathlib import Path

here, words = Path(__file__).parent, sys.argv[1:]
if words[:2] != ["-m", "pip"]:
    os.execv({python!r}, [{python!r}, *words])
verb = "probe" if "versions" in words else "install"
def after(option):
    return words[words.index(option) + 1] if option in words else ""
source = "wheels" if "--no-index" in words else after("--index-url") or "general"
pinned = [word for word in words if word.startswith("torch==")]
pinned += Path(after("-r")).read_text().split() if "-r" in words else []
with (here / "calls").open("a") as calls:
    print(verb, source, *pinned, file=calls)
hangs, fails = (here / "hangs").read_text().split(), (here / "fails").read_text().split()
if f"{{verb}}:{{source}}" in hangs:
    time.sleep(120)
if f"{{verb}}:{{source}}" in fails:
    sys.exit("stand-in: no")
if verb == "install" and "torch==2.13.0" in pinned:
    of_cuda = source in ("general", (here / "cuda").read_text())
    needs = "Requires-Dist: nvidia-cublas==13.1.1.3\\n" if of_cuda else ""
    packages = Path(after("--python")).parent.parent / "lib" / "python{version}" / "site-packages"
    info = packages / "torch-2.13.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: torch\\nVersion: 2.13.0\\n" + needs)
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """How the script ended, what it asked pip for, what it said, and how long it took."""

    status: int
    calls: list[str]
    said: str
    seconds: float


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with locks, an empty folder of wheels, and a stand-in for python on the path."""
    stand_in = tmp_path / "bin"
    stand_in.mkdir()
    python = stand_in / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python.write_text(PYTHON.format(python=sys.executable, version=version), encoding="utf-8")
    python.chmod(python.stat().st_mode | stat.S_IEXEC)
    for name in ("hangs", "fails", "cuda"):
        (stand_in / name).write_text("", encoding="utf-8")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "torch.txt").write_text("# pinned\nnumpy==2.4.6\ntorch==2.13.0\n", encoding="utf-8")
    (tmp_path / "plain.txt").write_text("# pinned\nnumpy==2.4.6\n", encoding="utf-8")
    (tmp_path / "torch-cuda.txt").write_text(
        "# pinned\nnumpy==2.4.6\nnvidia-cublas==13.1.1.3\ntorch==2.13.0\ntriton==3.7.1\n", encoding="utf-8"
    )
    return tmp_path


def run(
    folder: Path, *options: str, lock: str = "torch.txt", torch_index: str | None = None, **behaviour: str
) -> Installed:
    """Run the script, with the stand-in's calls that hang or fail named as verb:source."""
    for name, what in behaviour.items():
        (folder / "bin" / name).write_text(what, encoding="utf-8")
    (folder / "bin" / "calls").write_text("", encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "TORCH_INDEX" and not k.startswith("PIP_")}
    environment["PATH"] = f"{folder / 'bin'}:{environment['PATH']}"
    if torch_index is not None:
        environment["TORCH_INDEX"] = torch_index
    command = ["sh", str(ROOT / "tools" / "install.sh"), *options, str(folder / lock), str(folder / "venv")]
    started = time.monotonic()
    done = subprocess.run(
        [*command, str(folder / "wheels")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    calls = (folder / "bin" / "calls").read_text(encoding="utf-8").splitlines()
    return Installed(done.returncode, calls, done.stderr, time.monotonic() - started)


def put_wheel(folder: Path) -> None:
    (folder / "wheels" / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl").touch()


REST = "install general numpy==2.4.6"
PROBED, FROM_CPU_INDEX = f"probe {CPU_INDEX}", f"install {CPU_INDEX} torch==2.13.0"
FROM_GENERAL = "install general torch==2.13.0"
CUDA = "install general nvidia-cublas==13.1.1.3 triton==3.7.1"


def test_the_folder_of_wheels_comes_first(folder: Path) -> None:
    put_wheel(folder)
    done = run(folder)
    assert done.status == 0
    assert done.calls == ["install wheels torch==2.13.0", "install wheels numpy==2.4.6"]
    assert done.said == ""


def test_a_wheel_that_does_not_fit_is_passed_over(folder: Path) -> None:
    """As another Python's would be; what else is not in the folder comes from the general index."""
    put_wheel(folder)
    done = run(folder, fails="install:wheels")
    assert done.status == 0
    wheels = ["install wheels torch==2.13.0", PROBED, FROM_CPU_INDEX, "install wheels numpy==2.4.6"]
    assert done.calls == [*wheels, REST]


def test_pytorchs_index_is_next(folder: Path) -> None:
    done = run(folder)
    assert done.status == 0
    assert done.calls == [PROBED, FROM_CPU_INDEX, REST]
    assert done.said == ""


@pytest.mark.parametrize("at", ["probe", "install"])
def test_the_general_index_comes_last_with_all_that_its_build_needs(folder: Path, at: str) -> None:
    done = run(folder, fails=f"{at}:{CPU_INDEX}")
    assert done.status == 0
    tried = [PROBED] if at == "probe" else [PROBED, FROM_CPU_INDEX]
    assert done.calls == [*tried, FROM_GENERAL, CUDA, REST]


def test_one_line_says_what_the_general_build_costs_and_how_to_avoid_it(folder: Path) -> None:
    (line,) = run(folder, fails=f"probe:{CPU_INDEX}").said.splitlines()
    assert "2.7 GB to fetch" in line
    assert "4.8 GB on disk" in line
    assert "WHEELS_DIR" in line
    assert "TORCH_INDEX" in line


def test_an_index_that_hangs_is_given_up(folder: Path) -> None:
    done = run(folder, hangs=f"probe:{CPU_INDEX}")
    assert done.status == 0
    assert done.calls == [PROBED, FROM_GENERAL, CUDA, REST]
    assert MAY_HANG_S - 1 < done.seconds < MAY_HANG_S + 20  # what the rest takes on a busy machine


@pytest.mark.parametrize("fails", [False, True])
def test_an_index_that_the_user_set_is_the_only_one(folder: Path, fails: bool) -> None:
    done = run(folder, torch_index=OTHER_INDEX, fails=f"install:{OTHER_INDEX}" if fails else "")
    asked = f"install {OTHER_INDEX} torch==2.13.0"
    assert done.calls == ([asked] if fails else [asked, REST])
    assert done.status == (1 if fails else 0)
    assert ("TORCH_INDEX" in done.said) == fails


def test_pytorchs_own_index_is_not_fallen_back_from_either_when_the_user_set_it(folder: Path) -> None:
    done = run(folder, torch_index=CPU_INDEX, fails=f"install:{CPU_INDEX}")
    assert done.calls == [FROM_CPU_INDEX]
    assert done.status == 1


def test_an_empty_setting_is_no_setting(folder: Path) -> None:
    """Compose passes on the empty text for a variable that is not set."""
    assert run(folder, torch_index="").calls == [PROBED, FROM_CPU_INDEX, REST]


def test_the_general_index_can_be_asked_for(folder: Path) -> None:
    done = run(folder, torch_index="general")
    assert done.calls == [FROM_GENERAL, CUDA, REST]
    assert done.said == ""


def test_a_build_says_itself_that_it_needs_cuda(folder: Path) -> None:
    """Whichever place it came from: here an index of CUDA builds."""
    done = run(folder, torch_index=OTHER_INDEX, cuda=OTHER_INDEX)
    assert done.calls == [f"install {OTHER_INDEX} torch==2.13.0", CUDA, REST]


def test_nobody_that_has_pytorch_is_one_line(folder: Path) -> None:
    done = run(folder, fails=f"probe:{CPU_INDEX} install:general")
    assert done.status == 1
    assert "no build of torch==2.13.0: set WHEELS_DIR" in done.said.splitlines()[-1]


def test_pytorch_alone_and_then_the_rest_ask_for_it_once(folder: Path) -> None:
    assert run(folder, "--torch-only").calls == [PROBED, FROM_CPU_INDEX]
    assert run(folder).calls == [REST]


LOCKED = "torch==2.13.0 --hash=sha256:0123"


@pytest.mark.parametrize("index", ["", "general", OTHER_INDEX])
def test_hashes_are_asked_for_wherever_pytorch_comes_from(folder: Path, index: str) -> None:
    (folder / "torch.txt").write_text(f"{LOCKED}\n", encoding="utf-8")
    done = run(folder, "--torch-only", torch_index=index)
    assert [call for call in done.calls if call.endswith(f" {LOCKED}")], done.calls


def test_a_build_without_a_hash_is_taken_only_if_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "torch.txt").write_text(f"{LOCKED}\n", encoding="utf-8")
    put_wheel(folder)
    monkeypatch.setenv("TORCH_UNCHECKED", "1")
    done = run(folder, "--torch-only", fails="install:wheels")
    assert done.calls == [f"install wheels {LOCKED}", PROBED, FROM_CPU_INDEX]


def make_wheel(folder: Path) -> str:
    """Put a package `held` into a folder of wheels; return the hash of its file."""
    file, info = folder / "held-1.0-py3-none-any.whl", "held-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("held.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: held\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("right", [True, False])
def test_pip_itself_takes_no_file_but_the_one_that_was_locked(tmp_path: Path, right: bool) -> None:
    digest = make_wheel(tmp_path)
    lock = tmp_path / "lock.txt"
    lock.write_text(f"held==1.0 --hash=sha256:{digest if right else '0' * 64}\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PIP_NO_INDEX": "1"}
    command = ["sh", str(ROOT / "tools" / "install.sh"), str(lock), str(tmp_path / "venv"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode == 0) == right, done.stderr
    assert bool(list((tmp_path / "venv").rglob("held.py"))) == right


def test_a_lock_without_pytorch_asks_no_index_of_it(folder: Path) -> None:
    assert run(folder, lock="plain.txt").calls == [REST]
