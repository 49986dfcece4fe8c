"""What `add` publishes starts in the three services, however narrow its sizes and values are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from batched_serving.engine import BatchedEngine
from modelkit.example_item import example_fields
from modelkit.signature import Port
from onnx_serving.engine import OnnxEngine
from serving_core.engine import Compute, Engine
from serving_core.handler import Context
from serving_core.models.manifest import read_manifest
from serving_core.models.store import Model
from serving_core.tensor_model import TensorModel
from tests.modelkit.adding import add, manifest
from torch_serving.engine import TorchEngine

LEAST, MOST = 300, 600
FIRST_ID, IDS = 100, 10
FORMS = ((TorchEngine, "program.pt2"), (BatchedEngine, "program.pt2"), (OnnxEngine, "model.onnx"))


class Long(nn.Module):
    """Rows [n, length] of LEAST to MOST numbers -> their differences."""

    def forward(self, rows: Tensor) -> Tensor:
        return rows[:, 1:] - rows[:, :-1]


class Shifted(nn.Module):
    """Token ids [n, length] from FIRST_ID on -> a vector [n, 4]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.table = nn.Embedding(IDS, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        vector: Tensor = self.table(tokens - FIRST_ID).mean(1)
        return vector


def started(place: Path, make: type[Engine], file: str) -> TensorModel:
    """The handler of a service with this engine, warm, as `load_models` makes it."""
    read = read_manifest((place / "model.json").read_bytes(), "model.json")
    handler = TensorModel()
    handler.load(Model(place / file, read, cached=True), Context(make, Compute(device="cpu", max_batch=4), 1))
    handler.warm()
    return handler


def check(place: Path, network: nn.Module, items: list[np.ndarray[Any, Any]]) -> None:
    """Each service answers the items as PyTorch does, together and alone."""
    (taken,) = manifest(place)["inputs"]
    for make, file in FORMS:
        handler = started(place, make, file)
        prepared = [handler.preprocess({taken["name"]: item}) for item in items]
        together = handler.predict(prepared)
        for item, one, made in zip(items, prepared, together, strict=True):
            with torch.inference_mode():
                expected = network(torch.from_numpy(item)[None])[0].numpy()
            for answer in (made[0], handler.predict([one])[0][0]):
                np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


def test_a_program_of_long_inputs_alone_starts(tmp_path: Path) -> None:
    sizes = {0: Dim("batch"), 1: Dim("length", min=LEAST, max=MOST)}
    made = torch.export.export(Long(), (torch.zeros(2, 400),), dynamic_shapes=(sizes,))
    torch.export.save(made, tmp_path / "long.pt2")
    status, place = add(tmp_path / "long.pt2")
    assert status == 0
    rng = np.random.default_rng(0)
    check(place, Long(), [rng.random(length, np.float32) for length in (LEAST, MOST, 450, 450)])


@pytest.mark.parametrize("length", [9, 3000])
def test_a_table_that_begins_late_starts_with_the_values_that_were_given(length: int, tmp_path: Path) -> None:
    """The longer example is in the manifest as a range."""
    rng = np.random.default_rng(0)
    sizes = {0: Dim("batch"), 1: Dim("length")}
    values = torch.full((2, 8), FIRST_ID)
    made = torch.export.export(Shifted().eval(), (values,), dynamic_shapes=(sizes,))
    torch.export.save(made, tmp_path / "shifted.pt2")
    np.savez(tmp_path / "example.npz", tokens=rng.integers(FIRST_ID, FIRST_ID + IDS, (3, length)))
    status, place = add(tmp_path / "shifted.pt2", "--example", str(tmp_path / "example.npz"))
    assert status == 0
    assert ("data" in manifest(place)["example"]["tokens"]) is (length == 9)
    items = [rng.integers(FIRST_ID, FIRST_ID + IDS, size) for size in (5, 5, 8)]
    check(place, Shifted().eval(), items)


@pytest.mark.parametrize(
    ("values", "fields"), [([1.0, np.nan, 3.0], (1.0, 3.0)), ([np.inf, np.nan], (0.0, 1.0))]
)
def test_an_example_without_a_number_has_the_range_of_its_numbers(
    values: list[float], fields: tuple[float, float]
) -> None:
    """Services refuse values that are not finite in an example, and JSON has none."""
    written = example_fields([Port("x", "FP32", (len(values),))], [np.array(values, np.float32)])
    assert written["example"]["x"] == {"shape": [len(values)], "least": fields[0], "most": fields[1]}
