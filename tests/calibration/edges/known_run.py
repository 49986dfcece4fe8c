"""Services of known behaviour, driven through the whole path: `python -m bench run` to run.json."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.model import Run, Trial
from bench.run_file import read_run
from tests.bench.conftest import write_images
from tests.calibration.edges.known_service import Script
from tests.running.ports import free_port

AS_MODULE = "import runpy; runpy.run_module('bench', run_name='__main__', alter_sys=True)"
HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
HEAD = "name: {project}\nservices:\n"
STANZA = """
  {name}-service:
    image: known-{project}
    command: ["python", "known_service.py"]
    environment:
      PORT: "8080"
      KNOWN_SCRIPT: '{script}'
      KNOWN_LOG: "{log}"
    ports: ["127.0.0.1:{port}:8080"]
    stop_grace_period: 2s
    labels:
      bench.strategy: {name}
      bench.title: The service {name}
      bench.port: "8080"
      bench.path: /predict/
      bench.ready: /ready
      bench.payloads: json
"""
# nothing beside the trials, and no check of repeated payloads, which takes longer than a trial
USUAL = ("--runtime", "process", "--payloads", "small", "--startups", "0", "--loop-seconds", "0", "--quick")
# other tests may use the cores
USUAL = (*USUAL, "--max-other-cpu", "100%")


@dataclass(frozen=True)
class KnownRun:
    """What `bench run` made of known services: exit code and output, the run, its folder, the services' logs.

    `logs` holds the log of each copy that ended when it was asked to, by strategy, in the order of ends.
    """

    code: int
    out: str
    err: str
    folder: Path
    run: Run
    logs: Mapping[str, Sequence[dict[str, Any]]]

    def trial(self, strategy: str | None = None, load: str | None = None) -> Trial:
        """The first trial of the strategy under the load of this name."""
        return next(
            one
            for one in self.run.trials
            if strategy in (None, one.strategy) and load in (None, one.load.name)
        )

    def log(self, trial: Trial) -> dict[str, Any]:
        """The log of the copy that this trial measured: the services' copies end in the order of trials.

        A copy has the requests of its trial, and one or a few before them, by which its start was timed.
        """
        made = [one for one in (*self.run.trials, *(one.trial for one in self.run.longs)) if one.samples]
        mine = [one for one in made if one.strategy == trial.strategy]
        log = self.logs[trial.strategy][mine.index(trial) - len(mine)]
        before = len(log["requests"]) - len(self.samples(trial))
        assert 0 <= before <= 3, f"{before} requests more in the log than in the samples"
        return log

    def answered(self, trial: Trial, begin_s: float, end_s: float) -> int:
        """How many requests of the trial the service itself ended in this span of the load."""
        ended = [request[2] for request in self.log(trial)["requests"] if request[3] == 200]
        return sum(begin_s <= one < end_s for one in ended)

    def answered_rps(self, trial: Trial) -> float:
        """The rate of the service's answers in the trial's window, by its own log.

        What else runs on the machine slows the service too: what a script comes to is not what it did.
        """
        end_s = trial.warmup_s + trial.window_s
        return self.answered(trial, trial.warmup_s, end_s) / trial.window_s

    def samples(self, trial: Trial) -> pd.DataFrame:
        """The samples of a trial: times in ns since its begin, outcomes as words."""
        assert trial.samples is not None
        return pd.read_parquet(self.folder / trial.samples)

    def truth_p(self, q: float, trial: Trial, response_ms: "np.ndarray[Any, Any]") -> float:
        """The q-quantile of true response times (ms, one a sample) over the requests due in the window."""
        due_s = self.samples(trial)["due_ns"].to_numpy() / 1e9
        inside = (due_s >= trial.warmup_s) & (due_s < trial.warmup_s + trial.window_s)
        ordered = np.sort(response_ms[inside])
        return float(ordered[max(0, int(np.ceil(q * len(ordered))) - 1)])


def known_project(folder: Path, services: Mapping[str, Script]) -> Path:
    """Write a project with these services, and return its folder."""
    root = folder / "project"
    root.mkdir(parents=True)
    shutil.copy(HERE / "known_service.py", root)
    write_images(root / "images")
    project = f"bench-known-{os.getpid()}-{time.monotonic_ns() % 100_000}"
    text = HEAD.format(project=project)
    for name, script in services.items():
        log = folder / "logs" / name
        log.mkdir(parents=True)
        finite = {key: value for key, value in dataclasses.asdict(script).items() if value != float("inf")}
        text += STANZA.format(
            name=name, project=project, port=free_port(), log=log, script=json.dumps(finite)
        )
    (root / "compose.yaml").write_text(text)
    return root


def run_known(
    folder: Path,
    services: Mapping[str, Script],
    *options: str,
    verb: str = "run",
    usual: Sequence[str] = USUAL,
    beforehand: str = "",
) -> KnownRun:
    """Run `bench VERB` on these services with these options; the folder must be new for each call.

    `beforehand` is Python that its process runs first, to change a constant that no option sets.
    """
    root = known_project(folder, services)
    module = ("-m", "bench") if not beforehand else ("-c", f"{beforehand}\n{AS_MODULE}")
    done = subprocess.run(
        [sys.executable, *module, verb, "--root", root, "--results", folder / "results", *usual, *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    folders = sorted((folder / "results").glob("2*"))
    assert folders, done.stderr
    logs = {name: _logs(folder / "logs" / name) for name in services}
    return KnownRun(done.returncode, done.stdout, done.stderr, folders[-1], read_run(folders[-1]), logs)


def _logs(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    return [json.loads(file.read_text()) for file in files]
