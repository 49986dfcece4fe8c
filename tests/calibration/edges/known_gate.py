"""Two commits of services of known behaviour, judged by `python -m bench gate`, to gate.json and run.json."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.model import Run
from bench.run_file import read_run
from tests.bench.test_gate_run import git
from tests.calibration.edges.known_run import REPOSITORY, known_project
from tests.calibration.edges.known_service import Script

RUN = """
[run]
rounds = 3
window_s = 2.0
warmup_s = 1.0
concurrency = 4
long_s = {long_s}
"""
PRIMARY = '\n[[primary]]\nstrategy = "{name}"\nmetric = "throughput"\ntolerance = "5%"\n'


@dataclass(frozen=True)
class KnownGate:
    """What `bench gate` made of two commits: exit code and output, its verdict, its run and its folder."""

    code: int
    out: str
    err: str
    told: Mapping[str, Any]
    run: Run
    folder: Path

    def finding(self, rule: str) -> Mapping[str, Any]:
        """The finding of a rule."""
        found: Mapping[str, Any] = next(one for one in self.told["findings"] if one["rule"] == rule)
        return found


def gate_known(
    folder: Path, base: Mapping[str, Script], head: Mapping[str, Script], *, long_s: float = 20.0
) -> KnownGate:
    """Judge head's services against base's of the same names; the folder must be new for each call."""
    root, other = known_project(folder, base), known_project(folder / "head", head)
    (root / "gate.toml").write_text(
        RUN.format(long_s=long_s) + "".join(PRIMARY.format(name=name) for name in base)
    )
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "As it was")
    git(root, "tag", "before")
    (root / "compose.yaml").write_text((other / "compose.yaml").read_text())
    places = ("--root", str(root), "--results", str(folder / "results"), "--runtime", "process")
    command = [sys.executable, "-m", "bench", "gate", *places, "--against", "before"]
    command += ["--max-other-cpu", "100%"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    folders = sorted((folder / "results").glob("2*"))
    assert folders, done.stderr
    told = json.loads((folders[-1] / "gate.json").read_text())
    return KnownGate(done.returncode, done.stdout, done.stderr, told, read_run(folders[-1]), folders[-1])
