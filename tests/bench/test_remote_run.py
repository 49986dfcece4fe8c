"""A whole run whose load comes from this host and another one, started as a user starts both."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.bench.other_hosts import OtherHosts, end
from tests.running.exit_codes import code_of
from tests.running.ports import free_port

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
SHORT = (
    *("--runtime", "process", "--quick", "--payloads", "small", "--strategies", "fast", "--warmup-s", "0.3"),
    *("--window-s", "1.5", "--startups", "0", "--warm-startups", "0", "--loop-seconds", "0"),
)


def test_a_run_is_driven_from_here_and_from_another_host(
    bench: Bench, project: Path, other_hosts: OtherHosts
) -> None:
    name, here = other_hosts.add()
    port = free_port()
    worker = other_hosts.serve(name, here, port)
    options = ("--remote-workers", "1", "--listen", f"{here}:{port}", "--concurrency", "4", "--rate", "40")
    done = bench("run", "--root", project, *SHORT, *options)
    (folder,) = (project / "results").iterdir()
    text = (folder / "run.json").read_text()
    found = json.loads(text)
    assert done.returncode == code_of(found), done.stderr
    assert len(found["trials"]) == 2
    for trial in found["trials"]:
        assert trial["error"] is None
        assert (trial["driver"]["workers"], trial["driver"]["lost_workers"]) == (2, 0)
        assert trial["ok"] > 10
    assert here not in text, "an address is this machine's own"
    said = end(worker)
    assert worker.returncode == 0
    assert said.count("drove a trial of") == 2
