"""`python -m onnx_serving settings` says which settings there are, and what a start with others would say."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from serving_core.settings import Settings
from serving_core.stated_settings import state_settings

ROOT = Path(__file__).parents[2]
MODEL = "file:///model.onnx"


def stated(asked: Sequence[Mapping[str, str]]) -> Any:
    out = io.BytesIO()
    state_settings("onnx", "ONNX_MODEL_URI", io.BytesIO(json.dumps(asked).encode()), out)
    return json.loads(out.getvalue())


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNX_MODEL_URI", MODEL)


def test_all_settings_are_named_as_variables() -> None:
    found = stated([])
    assert found["faults"] == []
    assert "ONNX_MODEL_URI" in found["settings"]
    assert {name.lower() for name in found["settings"]} >= {"threads", "max_batch", "port", "log_level"}
    assert len(found["settings"]) == len(Settings.model_fields) - 2, "all but the two that name the service"


def test_each_combination_is_judged_by_itself_and_leaves_nothing() -> None:
    before = dict(os.environ)
    found = stated(
        [{"THREADS": "2"}, {"THREADS": "0"}, {"MAX_BATCH": "8"}, {"WORKERS": "2", "DEVICE": "gpu"}]
    )
    assert found["faults"][0] is None
    assert found["faults"][1].startswith("wrong setting: THREADS='0': input should be greater than")
    assert found["faults"][2] is None, "what was wrong before is not there any more"
    assert "DEVICE='gpu'" in found["faults"][3]
    assert dict(os.environ) == before


@pytest.mark.parametrize("service", ["onnx", "torch", "batched"])
def test_every_service_answers_the_command(service: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"{service}_serving", "settings"],
        cwd=ROOT,
        env={**os.environ, "TORCH_MODEL_URI": MODEL},
        input=json.dumps([{"MAX_BATCH": "0"}]).encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert "MAX_BATCH='0'" in json.loads(done.stdout)["faults"][0]
