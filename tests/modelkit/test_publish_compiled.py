"""The committed network, compiled ahead by the command, is published and gives the reference's answers."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modelkit import ModelkitError
from modelkit.manifest import file_entry, read_json
from modelkit.publish_compiled import publish_compiled
from tests.running.processes import ROOT


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no compiler g++")
def test_the_network_is_compiled_checked_and_published(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "modelkit", "compile", "--to", str(tmp_path / "compiled")]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("compiled for this processor: 73 images agree, largest logit difference ")
    file = tmp_path / "compiled" / "network.pt2"
    assert read_json(tmp_path / "compiled" / "model.json")["files"] == {"network.pt2": file_entry(file)}


def test_without_a_compiler_nothing_is_published(
    model_dir: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelkitError, match=r"there is no compiler g\+\+ here: install it"):
        publish_compiled(model_dir, images, str(tmp_path / "compiled"))
    assert not (tmp_path / "compiled").exists()


def test_the_command_says_that_it_needs_a_place() -> None:
    command = [sys.executable, "-m", "modelkit", "compile"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (made.returncode, made.stderr.count("\n")) == (2, 1)
    assert "give --to FOLDER or gs://BUCKET/PREFIX" in made.stderr
