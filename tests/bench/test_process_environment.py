"""A service's environment as a local process needs it: loopback for hostnames, scratch for paths."""

from pathlib import Path

import pytest

from bench.cores import Cores, choose_cores, parse_cores
from bench.errors import UsageError
from bench.measure.process_runtime import ProcessRuntime
from bench.measure.registry import load_registry

COMPOSE = """
services:
  model-store:
    command: ["python", "-m", "http.server"]
    labels: {bench.role: support, bench.port: "9023"}
  thing:
    command: ["python", "-m", "thing"]
    environment:
      PORT: "8080"
      STORE: http://model-store:9023
      BUCKETS: models.local=http://model-store:9023
      URI: gs://model-store-bucket/weights
      CACHE: /tmp/models
      KEY: /run/secrets/key.json
      PLAIN: /temporary
    tmpfs: ["/tmp:size=1m"]
    volumes: ["./key.json:/run/secrets/key.json:ro"]
    ports: ["127.0.0.1:18081:8080"]
    labels: {bench.strategy: thing, bench.port: "8080"}
"""


def test_values_that_only_hold_in_a_container_are_translated(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    registry = load_registry(tmp_path, {})
    runtime = ProcessRuntime(registry, Cores((0,), (0,), (0,)))
    found = runtime.environment(registry.services["thing"], tmp_path / "scratch")
    runtime.close()
    assert found["PORT"] == "18081"
    assert found["STORE"] == "http://127.0.0.1:9023"
    assert found["BUCKETS"] == "models.local=http://127.0.0.1:9023"
    assert found["URI"] == "gs://model-store-bucket/weights"
    assert found["CACHE"] == str(tmp_path / "scratch" / "models")
    assert Path(found["KEY"]) == tmp_path / "key.json"
    assert found["PLAIN"] == "/temporary"


@pytest.mark.parametrize(("text", "cores"), [("0", (0,)), ("2-3,0", (0, 2, 3)), ("1,1", (1,))])
def test_lists_of_cores_are_read(text: str, cores: tuple[int, ...]) -> None:
    assert parse_cores(text) == cores


@pytest.mark.parametrize("text", ["", "a", "1-", "3-2", "-1"])
def test_what_is_no_list_of_cores_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_cores(text)


def test_driver_and_service_get_disjoint_cores_where_there_are_two() -> None:
    cores = choose_cores(None, None)
    assert cores.disjoint == (len(cores.available) > 1)
