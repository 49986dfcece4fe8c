"""run.json is read as it was written, and refused in one line where a value is of another type."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from bench.model import LoadOptions, MachineOptions, ObjectiveOptions, SessionOptions
from bench.run_file import FILE_NAME, read_run, write_run
from tests.gate.runs import EQUAL, run_of

Change = Callable[[dict[str, Any]], None]


def changed(folder: Path, change: Change) -> Path:
    write_run(run_of({"onnx": EQUAL}), folder)
    path = folder / FILE_NAME
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    return folder


def in_trial(key: str, value: object) -> Change:
    return lambda raw: raw["trials"][0].update({key: value})


def at_top(key: str, value: object) -> Change:
    return lambda raw: raw.update({key: value})


REFUSED: list[tuple[Change, str]] = [
    (in_trial("throughput_rps", "12"), 'throughput_rps is "12", not a number'),
    (in_trial("throughput_rps", True), "throughput_rps is true, not a number"),
    (in_trial("throughput_rps", float("nan")), "throughput_rps is NaN, not a number"),
    (in_trial("errors", None), "errors is null, not a whole number"),
    (in_trial("errors", 1.5), "errors is 1.5, not a whole number"),
    (in_trial("valid", 1), "valid is 1, not true or false"),
    (in_trial("strategy", 7), "strategy is 7, not a text"),
    (in_trial("warnings", "one"), 'warnings is "one", not a list'),
    (in_trial("load", None), "load is null, not an object"),
    (in_trial("latency_ms", []), "latency_ms is [], not an object"),
    (in_trial("unheard", 1), "unheard"),
    (at_top("environment", {"settings": None}), "settings is null, not an object"),
    (at_top("environment", []), "environment is [], not an object"),
    (at_top("trials", {}), "trials is {}, not a list"),
    (at_top("strategies", {"onnx": None}), "strategies.onnx is null, not an object"),
    (at_top("command", ["x" * 500]), "not a text"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_a_value_of_another_type_is_refused_in_one_line(tmp_path: Path, change: Change, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_run(changed(tmp_path, change))
    told = str(refused.value)
    assert says in told
    assert "restore the file, or measure again" in told
    assert "\n" not in told
    assert len(told) < 300


def test_a_whole_number_is_a_number_and_null_is_a_missing_one(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["trials"][0].update({"throughput_rps": 12, "cpu_ms_per_request": None})

    first = read_run(changed(tmp_path, change)).trials[0]
    assert (first.throughput_rps, first.cpu_ms_per_request) == (12, None)


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = run_of({"onnx": EQUAL})
    write_run(run, tmp_path)
    assert read_run(tmp_path) == run


def test_what_a_run_was_asked_for_is_read_as_it_was_written(tmp_path: Path) -> None:
    asked = SessionOptions(
        verb="slo",
        load=LoadOptions(1.5, 6.0, 4.0, clients=(1, 50), rates_per_s=(12.5,)),
        rounds=0,
        strategies=("onnx",),
        objective=ObjectiveOptions(0.99, 100.0),
        machine=MachineOptions(device="cpu", driver_cores="0,2-3"),
    )
    write_run(replace(run_of({"onnx": EQUAL}), options=asked), tmp_path)
    assert read_run(tmp_path).options == asked


def test_an_option_that_there_is_not_is_refused_in_one_line(tmp_path: Path) -> None:
    asked = SessionOptions("run", LoadOptions(1.5, 6.0, 4.0), 1)
    write_run(replace(run_of({"onnx": EQUAL}), options=asked), tmp_path)
    raw = json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8"))
    raw["options"]["machine"]["device"] = "tpu"
    (tmp_path / FILE_NAME).write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(UsageError, match=r"tpu.*measure again"):
        read_run(tmp_path)
