"""examples/own_server: what compose.yaml says of the two servers is what their sources do."""

import json
import re

import pytest
import yaml

from tests.running.processes import ROOT

FOLDER = ROOT / "examples/own_server"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_port_is_the_one_that_the_image_listens_on(name: str) -> None:
    service = SERVICES[name]
    dockerfile = (FOLDER / service["build"]["context"] / "Dockerfile").read_text(encoding="utf-8")
    (port,) = re.findall(r"^ENV HOST=0\.0\.0\.0 PORT=(\d+)$", dockerfile, re.MULTILINE)
    assert service["labels"]["bench.port"] == port
    assert [one.rpartition(":")[2] for one in service["ports"]] == [port]
    assert all(one.startswith("127.0.0.1:") for one in service["ports"])


def test_the_addresses_are_those_of_the_go_program() -> None:
    """LitServe has the same two by itself."""
    source = (FOLDER / "go/main.go").read_text(encoding="utf-8")
    for service in SERVICES.values():
        assert f'"POST {service["labels"]["bench.path"]}"' in source
        assert f'"GET {service["labels"]["bench.ready"]}"' in source


def test_every_package_of_litserve_is_pinned_with_its_hashes() -> None:
    pinned = (FOLDER / "litserve/requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in pinned.splitlines() if line and not line.lstrip().startswith("#")]
    assert (FOLDER / "litserve/requirements.in").read_text(encoding="utf-8").split() == ["litserve==0.2.19"]
    assert any(line.startswith("litserve==0.2.19 ") for line in lines)
    for line in lines:
        assert re.match(r"^[\w.-]+==\S+ ( *--hash=sha256:[0-9a-f]{64})+$", line), line


def test_requests_are_what_the_servers_take() -> None:
    lines = (FOLDER / "inputs.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines
    assert all(json.loads(line).keys() == {"input"} for line in lines)
