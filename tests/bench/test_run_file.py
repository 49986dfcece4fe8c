"""run.json is read as it was written, and refused in one line where a value is of another type."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from bench.model import (
    SCHEMA_VERSION,
    Doubt,
    Environment,
    LoadOptions,
    MachineOptions,
    ObjectiveOptions,
    RunSettings,
    SessionOptions,
    Twin,
)
from bench.run_file import FILE_NAME, read_run, write_run
from tests.gate.runs import EQUAL, run_of

Change = Callable[[dict[str, Any]], None]


def changed(folder: Path, change: Change) -> Path:
    folder.mkdir(exist_ok=True)
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
    (
        in_trial("throughput_rps", "12"),
        "null`, got `str` - at `$.trials[0].throughput_rps`",
    ),
    (in_trial("throughput_rps", True), "got `bool` - at `$.trials[0].throughput_rps`"),
    (in_trial("errors", None), "Expected `int`, got `null` - at `$.trials[0].errors`"),
    (in_trial("errors", 1.5), "got `float` - at `$.trials[0].errors`"),
    (in_trial("valid", 1), "Expected `bool`, got `int` - at `$.trials[0].valid`"),
    (in_trial("strategy", 7), "Expected `str`, got `int` - at `$.trials[0].strategy`"),
    (in_trial("doubts", "one"), "Expected `array`, got `str` - at `$.trials[0].doubts`"),
    (in_trial("doubts", [{"code": "odd"}]), "Invalid enum value 'odd' - at `$.trials[0].doubts[0].code`"),
    (in_trial("load", None), "Expected `object`, got `null` - at `$.trials[0].load`"),
    (in_trial("latency_ms", []), "Expected `object`, got `array` - at `$.trials[0].latency_ms`"),
    (in_trial("unheard", 1), "a field that this schema does not have - at `$.trials[0].unheard`"),
    (at_top("environment", []), "Expected `object`, got `array` - at `$.environment`"),
    (
        at_top("environment", {"settings": None}),
        "Expected `object`, got `null` - at `$.environment.settings`",
    ),
    (at_top("environment", {"cores": "2"}), "got `str` - at `$.environment.cores`"),
    (at_top("environment", {"colour": "red"}), "does not have - at `$.environment.colour`"),
    (at_top("trials", {}), "Expected `array`, got `object` - at `$.trials`"),
    (at_top("strategies", {"onnx": None}), "Expected `object`, got `null` - at `$.strategies[...]`"),
    (at_top("command", ["x" * 500]), "Expected `str`, got `array` - at `$.command`"),
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


def test_a_number_that_is_none_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not JSON .*: measure again"):
        read_run(changed(tmp_path, in_trial("throughput_rps", float("nan"))))


# files of older schemas


def older(folder: Path, version: int, **trial: Any) -> Path:
    """A run's folder as schema 1 or 2 wrote it, with changes in its first trial."""

    def change(raw: dict[str, Any]) -> None:
        raw["schema_version"] = version
        raw.pop("options")
        raw["warnings"] = raw.pop("doubts")
        for one in raw["trials"]:
            one["warnings"] = one.pop("doubts")
        raw["trials"][0].update(trial)

    return changed(folder, change)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("sentence", "read"),
    [
        (
            "overloaded: response times grow from 302 to 774 ms over the window; lower the rate",
            Doubt(
                "overloaded",
                "overloaded: response times grow from 302 to 774 ms over the window",
                "lower the rate",
                voids=False,
                cause="service",
            ),
        ),
        (
            "Little's law is off by 3.3%: throughput times mean response time gives 51.6 clients where 50 "
            "were driven",
            Doubt(
                "littles_law",
                "Little's law is off by 3.3%: throughput times mean response time gives 51.6 clients "
                "where 50 were driven",
                "lengthen --window-s",
                voids=True,
                cause="driver",
            ),
        ),
        (
            "the host stole 1.3% of the service core's time",
            Doubt(
                "stolen",
                "the host stole 1.3% of the service core's time",
                "measure on a quieter host",
                voids=False,
                cause="host",
            ),
        ),
        (
            "the host stole 7.5% of the service core's time: measure on a quieter one",
            Doubt(
                "stolen",
                "the host stole 7.5% of the service core's time",
                "measure on a quieter one",
                voids=True,
                cause="host",
            ),
        ),
        ("nobody knows", Doubt("other", "nobody knows", "", voids=False, cause="harness")),
    ],
)
def test_a_sentence_of_an_older_schema_is_read_as_a_doubt(
    tmp_path: Path, version: int, sentence: str, read: Doubt
) -> None:
    run = read_run(older(tmp_path, version, warnings=[sentence]))
    assert run.trials[0].doubts == (read,)
    assert run.schema_version == SCHEMA_VERSION, "it has today's shape"


def test_what_ended_an_older_trial_is_read_as_its_error(tmp_path: Path) -> None:
    cut = read_run(older(tmp_path, 2, valid=False, error="it was interrupted before its window ended: its"))
    assert cut.trials[0].error is not None
    assert cut.trials[0].error.code == "interrupted"
    failed = read_run(older(tmp_path / "other", 2, valid=False, error="onnx never reached ready"))
    assert failed.trials[0].error is not None
    assert (failed.trials[0].error.code, failed.trials[0].error.cause) == ("start_failed", "service")


def test_the_twins_of_an_older_run_are_known_by_their_names(tmp_path: Path) -> None:
    rates = dict.fromkeys(("onnx", "onnx-again", "onnx@base", "try-again"), EQUAL)
    write_run(run_of(rates), tmp_path)
    raw = json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8"))
    for one in raw["strategies"].values():
        one.pop("twin")
    (tmp_path / FILE_NAME).write_text(json.dumps(raw | {"schema_version": 2}), encoding="utf-8")
    twins = {name: one.twin for name, one in read_run(tmp_path).strategies.items()}
    again, base = Twin("onnx", "again"), Twin("onnx", "base")
    assert twins == {"onnx": None, "onnx-again": again, "onnx@base": base, "try-again": None}


def test_the_settings_of_an_older_run_have_the_names_and_kinds_of_today(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["schema_version"] = 1
        raw["environment"] = {"cores": 2, "settings": {"clients": 50, "encoding": "json", "rounds": 6}}

    environment = read_run(changed(tmp_path, change)).environment
    assert environment == Environment(
        cores=2, settings=RunSettings(rounds=6, clients=(50,), encodings=("json",))
    )


@pytest.mark.parametrize("change", [{"warnings": 3}, {"warnings": [3]}, {"error": 3}])
def test_an_older_file_with_a_value_of_another_type_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match=r"does not fit schema 2: .*: restore the file, or measure again"):
        read_run(older(tmp_path, 2, **change))
