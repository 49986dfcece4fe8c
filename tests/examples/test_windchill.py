"""The wind-chill example: trained as it is committed, near the formula, and served like any model."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from numpy.typing import NDArray

from examples.windchill.handler import WindChill
from examples.windchill.train import FOLDER, MODEL_FILE, wind_chill
from serving_core.engine import Compute, Engine
from serving_core.errors import RequestError, StartError
from serving_core.handler import Context
from serving_core.models.store import pull_model
from tests.running.processes import ROOT, Running

HANDLER = "examples.windchill.handler:WindChill"


def no_engine() -> Engine:
    raise AssertionError("this handler computes on its own")


def load(folder: Path) -> WindChill:
    handler = WindChill()
    model = pull_model((folder / MODEL_FILE).as_uri(), folder / "cache", 5)
    handler.load(model, Context(no_engine, Compute(), max_pixels=1))
    return handler


@pytest.fixture(scope="module")
def handler() -> WindChill:
    """The committed model's."""
    return load(FOLDER)


def felt(handler: WindChill, weather: NDArray[np.float32]) -> list[float]:
    prepared = [handler.preprocess(handler.decode({"weather": row})) for row in weather]
    return [float(handler.postprocess(result)["felt"]) for result in handler.predict(prepared)]


def test_the_committed_folder_is_what_training_writes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.windchill.train", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert str(tmp_path / MODEL_FILE) in done.stdout
    for name in (MODEL_FILE, "model.json"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_the_formula_is_the_published_one() -> None:
    # by hand from 13.12 + 0.6215 T - 11.37 v^0.16 + 0.3965 T v^0.16
    table = {(2, 7): -0.08, (0, 10): -3.31, (-10, 30): -19.52, (-20, 40): -34.13, (-45, 80): -73.74}
    found = wind_chill(np.array([*table], np.float64))
    assert found.tolist() == pytest.approx([*table.values()], abs=0.006)


def test_answers_are_near_the_formula(handler: WindChill) -> None:
    axes = np.meshgrid(np.linspace(-50, 10, 25), np.geomspace(5, 100, 25))
    weather = np.stack([axis.ravel() for axis in axes], axis=1)
    away = np.abs(np.array(felt(handler, weather.astype(np.float32))) - wind_chill(weather))
    assert away.max() < 0.25
    assert away.mean() < 0.05


def test_a_batch_gives_what_each_gives_alone(handler: WindChill) -> None:
    weather = np.random.default_rng(3).uniform((-50, 5), (10, 100), (64, 2)).astype(np.float32)
    together = felt(handler, weather)
    assert together == pytest.approx([felt(handler, row[None])[0] for row in weather], abs=1e-4)
    assert len(set(together)) == 64


@pytest.mark.parametrize(
    ("weather", "told"),
    [
        ((20, 30), "temperature"),
        ((-10, 0), "wind"),
        ((-10, 400), "wind"),
        ((float("nan"), 30), "temperature"),
    ],
)
def test_weather_it_never_saw_is_refused(handler: WindChill, weather: tuple[float, float], told: str) -> None:
    with pytest.raises(RequestError, match=f"the {told} .*: send .* to .* only") as refusal:
        handler.preprocess({"weather": np.array(weather, np.float32)})
    assert refusal.value.status == 422


@pytest.mark.parametrize("content", ["[]", "{", '{"powers": [[0, 1]], "coefficients": []}'])
def test_another_file_is_no_such_model(content: str, tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_text(content)
    (tmp_path / "model.json").write_bytes((FOLDER / "model.json").read_bytes())
    with pytest.raises(StartError, match="sha256 differs"):
        load(tmp_path)
    digest = subprocess.run(
        ["sha256sum", tmp_path / MODEL_FILE], capture_output=True, text=True, check=True
    ).stdout[:64]
    (tmp_path / "model.json").write_text(
        f'{{"name": "w", "files": {{"{MODEL_FILE}": {{"sha256": "{digest}"}}}}}}'
    )
    with pytest.raises(StartError, match="not a wind-chill model"):
        load(tmp_path)


def ask(service: Running, path: str, body: dict[str, Any]) -> Any:
    answer = requests.post(service.url + path, json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("name", ["torch", "onnx", "batched"])
def test_any_service_serves_it_without_its_engine(
    name: str, launch: Callable[..., Running], tmp_path: Path
) -> None:
    """The engine's package is hidden: what imports it fails."""
    engine = "onnxruntime" if name == "onnx" else "torch"
    if name != "batched":  # whose dispatcher asks torch for a GPU
        (tmp_path / f"{engine}.py").write_text("raise ImportError('the engine is not to be imported')")
    variable = "ONNX_MODEL_URI" if name == "onnx" else "TORCH_MODEL_URI"
    service = launch(
        name,
        HANDLER=HANDLER,
        PYTHONPATH=str(tmp_path),
        **{variable: (FOLDER / MODEL_FILE).as_uri()},
    )
    service.wait_until_ready()
    assert ask(service, "/predict/", {"weather": [-10, 30]})["felt"] == pytest.approx(-19.5, abs=0.25)
    several = {"weathers": [[-10, 30], [90, 30], [0, 10]]}
    answers = ask(service, "/windchill/predict", several)
    assert answers[0]["felt"] == pytest.approx(-19.5, abs=0.25)
    assert "90" in answers[1]["error"]
    assert answers[2]["felt"] == pytest.approx(-3.3, abs=0.25)
    tensor = {"name": "weather", "shape": [2, 2], "datatype": "FP32", "data": [-10, 30, 0, 10]}
    answer = ask(service, "/v2/models/windchill/versions/1/infer", {"inputs": [tensor]})
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("felt", "FP32", [2])
    assert output["data"] == pytest.approx([-19.5, -3.3], abs=0.25)
    metadata = service.get("/v2/models/windchill").json()
    assert metadata["inputs"] == [{"name": "weather", "datatype": "FP32", "shape": [-1, 2]}]
    refused = requests.post(service.url + "/predict/", json={"weather": [-10, 300]}, timeout=120)
    assert (refused.status_code, "wind" in refused.json()["error"]) == (422, True)
    assert (
        requests.post(service.url + "/predict/?top_k=2", json={"weather": [1, 9]}, timeout=120).status_code
        == 400
    )
