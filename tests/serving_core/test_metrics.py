"""What is counted, in one process and across several that share a folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from serving_core.metrics import Metrics

ROOT = Path(__file__).parents[2]
WORKER = """
import sys
from serving_core.metrics import Metrics
metrics = Metrics()
depth = [int(sys.argv[1])]
metrics.queue_depth.set_function(lambda: depth[0])
model = metrics.model("weather")
model.batch_size.observe(4)
model.observe_stage("infer", 0.002)
metrics.startup_phase.labels("load", "weather").set(depth[0])
metrics.model_info.labels("weather", "1", "torch", "gs://a/b").set(1)
for _ in range(depth[0]):
    metrics.observe_request("/predict/", 200, 0.01, "weather")
metrics.refresh()
if sys.argv[2:]:
    sys.stdin.read(1)
else:
    depth[0] = 5
    sys.stdout.write(metrics.render("application/openmetrics-text")[0].decode())
"""


def samples(families: Any) -> dict[tuple[str, str], float]:
    return {
        (sample.name, json.dumps(sample.labels, sort_keys=True)): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def folder(tmp_path: Path) -> dict[str, str]:
    """The environment of processes that share a folder, in which one died before it wrote anything."""
    (tmp_path / "counter_1.db").touch()
    return {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}


def test_any_process_tells_of_all_that_share_its_folder(folder: dict[str, str]) -> None:
    command = [sys.executable, "-c", WORKER]
    with subprocess.Popen([*command, "3", "wait"], env=folder, stdin=subprocess.PIPE) as other:
        while not list(Path(folder["PROMETHEUS_MULTIPROC_DIR"]).glob(f"histogram_{other.pid}.db")):
            assert other.poll() is None
        made = subprocess.run([*command, "2"], env=folder, capture_output=True, text=True, check=True)
        found = samples(parse_openmetrics(made.stdout))
        # the other may have been in the middle of it
        while found[("requests_total", "{}")] < 5 + 2:
            made = subprocess.run([*command, "2"], env=folder, capture_output=True, text=True, check=True)
            found = samples(parse_openmetrics(made.stdout))
        assert other.stdin
        other.stdin.close()
    one = '{"model": "weather"}'
    assert found[
        ("request_duration_seconds_count", '{"model": "weather", "route": "/predict/", "status": "200"}')
    ]
    assert found[("batch_size_count", one)] == found[("batch_size_sum", one)] / 4
    assert found[("startup_phase_seconds", '{"model": "weather", "phase": "load"}')] == 3
    assert {value for (name, _), value in found.items() if name == "model_info"} == {1}
    assert not any("pid" in labels for _, labels in found)
    assert not any(name.startswith("process_") for name, _ in found)


def test_gauges_are_summed_and_refreshed_when_they_are_read(folder: dict[str, str]) -> None:
    command = [sys.executable, "-c", WORKER, "2"]
    for expected in (5, 5 + 5):
        made = subprocess.run(command, env=folder, capture_output=True, text=True, check=True)
        assert samples(parse_openmetrics(made.stdout))[("queue_depth", "{}")] == expected


def test_one_process_tells_of_itself_in_both_formats() -> None:
    metrics = Metrics()
    depth = [1]
    metrics.queue_depth.set_function(lambda: depth[0])
    metrics.observe_request("/predict/", 200, 0.01, "weather")
    depth[0] = 7
    plain, plain_type = metrics.render("text/plain")
    assert plain_type.startswith("text/plain")
    found = samples(parse_text(plain.decode()))
    assert found[("queue_depth", "{}")] == 7
    assert found[("requests_total", "{}")] == 1
    assert ("process_cpu_seconds_total", "{}") in found
    content, kind = metrics.render("application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert samples(parse_openmetrics(content.decode()))[("queue_depth", "{}")] == 7
