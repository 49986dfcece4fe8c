"""What `validate` says of good handlers, and of each way to break the contract."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving_core.engine import Engine
from serving_core.errors import StartError
from serving_core.loading import load_models
from serving_core.metrics import Metrics
from serving_core.sample_requests import variants
from serving_core.settings import Settings
from serving_core.tensors import TensorSpec
from serving_core.validation import validate

FAULTY = "tests.serving_core.faulty_handlers"
ROOT = Path(__file__).parents[2]
WINDCHILL = ROOT / "examples/windchill/model/coefficients.json"
MOOD = ROOT / "examples/mood/model/words.json"
CHECKS = 7


def no_engine() -> Engine:
    raise AssertionError("this handler computes on its own")


def lines(handler: str, **settings: Any) -> tuple[int, list[str]]:
    sink = io.StringIO()
    given = {"service": "onnx", "model_uri": WINDCHILL.as_uri(), "handler": handler, "max_batch": 16}
    status = validate(no_engine, Settings(**{**given, **settings}), sink)
    return status, sink.getvalue().splitlines()


def test_a_good_handler_passes_every_check() -> None:
    status, told = lines("examples.windchill.handler:WindChill")
    assert [line for line in told if not line.startswith("ok windchill: ")] == []
    assert len(told) == CHECKS
    assert status == 0


def test_python_s_numbers_will_do_as_they_do_for_services() -> None:
    status, told = lines(f"{FAULTY}:PlainNumbers")
    assert status == 0
    assert len(told) == CHECKS


def test_text_whole_numbers_and_flags_are_varied() -> None:
    """Right handlers of theirs pass: what is varied is served, and told apart."""
    for handler, model in (("examples.mood.handler:Mood", MOOD), (f"{FAULTY}:Counted", WINDCHILL)):
        status, told = lines(handler, model_uri=model.as_uri())
        assert [line for line in told if not line.startswith("ok ")] == []
        assert status == 0


@pytest.mark.parametrize("max_batch", [2, 3, 16, 17])
@pytest.mark.parametrize(
    ("handler", "output"),
    [
        ("WrongOrderOfTexts", "gladness"),
        ("FirstTextForAll", "gladness"),
        ("WrongOrderOfWholeNumbers", "count"),
        ("WrongOrderOfFlags", "count"),
    ],
)
def test_answers_mixed_up_are_seen_whatever_the_inputs(handler: str, output: str, max_batch: int) -> None:
    model = MOOD if output == "gladness" else WINDCHILL
    status, told = lines(f"{FAULTY}:{handler}", model_uri=model.as_uri(), max_batch=max_batch)
    assert status == 1
    (wrong,) = [line for line in told if line.startswith("wrong: ")]
    assert f"{output} of an item in a batch of {max_batch} differs from its value alone" in wrong


def test_what_could_not_be_seen_is_said_and_fails_nothing() -> None:
    status, told = lines(f"{FAULTY}:AlwaysTheSame")
    assert status == 0
    unknown = [line for line in told if not line.startswith("ok windchill: ")]
    assert [line.split(": ")[:2] for line in unknown] == [["unknown", "windchill"]] * 2
    assert ["batch" in unknown[0], "threads" in unknown[1]] == [True, True]
    assert all(line.endswith("give an example whose variants differ") for line in unknown)


@pytest.mark.parametrize(
    ("handler", "check", "fault"),
    [
        ("OneTooMany", "alone", "predict gives 2 results for 1 items: give one for each"),
        ("WrongName", "alone", "postprocess gives ['feels']: give a mapping with ['felt']"),
        ("WrongType", "alone", "postprocess gives felt as int32: give NumPy's float32"),
        ("PlainNumberForUnsigned", "alone", "postprocess gives felt as int: give NumPy's uint8"),
        ("PlainExample", "example", "example gives weather as float: give NumPy's float32"),
        ("KnowsItsExampleOnly", "alone", "an item like the example raises KeyError: 0 "),
        ("Exits", "alone", "SystemExit: 2 (faulty_handlers.py:"),
        ("WrongShape", "alone", "postprocess gives felt in shape (1,): give ()"),
        ("NotFinite", "alone", "not finite"),
        ("OnlyOneAtATime", "batch", "it raises MemoryError: only one at a time (faulty_handlers.py:"),
        ("WrongOrder", "batch", "felt of an item in a batch of 16 differs from its value alone"),
        ("KeepsTheItem", "batch", "keep nothing of an item on the handler"),
        ("OneThreadOnly", "threads", "it raises RuntimeError: somebody else is here"),
        ("RefusedExample", "alone", "the example is refused (422: the wind in km/h is 3000"),
        ("NoJson", "JSON", "it raises "),
        ("TopKFails", "JSON", "answer refuses top_k with 422: raise RequestError(400"),
    ],
)
def test_a_broken_contract_is_told_with_its_remedy(handler: str, check: str, fault: str) -> None:
    status, told = lines(f"{FAULTY}:{handler}")
    assert status == 1
    wrong = [line for line in told if line.startswith("wrong: windchill: ")]
    assert any(check in line and fault in line for line in wrong), told
    assert all(line.startswith(("ok windchill: ", "wrong: windchill: ")) for line in told)


@pytest.mark.parametrize(
    ("handler", "fault"),
    [
        (f"{FAULTY}:NoInputs", "NoInputs: inputs is (): make it a tuple of TensorSpec"),
        (f"{FAULTY}:NoOutputs", "NoOutputs: outputs is (): make it a tuple of TensorSpec"),
        (f"{FAULTY}:NeverDeclared", "inputs is None: make it a tuple of TensorSpec"),
        (f"{FAULTY}:SizeForShape", "shape=2, text=False),): make it a tuple of TensorSpec"),
        (f"{FAULTY}:TwiceTheSame", "outputs are called ['felt', 'felt']: give each a name of its own"),
        (f"{FAULTY}:FailsToLoad", "raises ZeroDivisionError: coefficients.json (faulty_handlers.py:"),
        (f"{FAULTY}:FailsToBegin", "FailsToBegin.__init__ raises OSError: no memory for it (faulty_h"),
        (f"{FAULTY}:ExitsInLoad", "ExitsInLoad.load raises SystemExit: 2 (faulty_handlers.py:"),
        (f"{FAULTY}:ExitsInWarm", "ExitsInWarm.warm raises SystemExit: wind=//host (faulty_handlers.py:"),
        (f"{FAULTY}:WrongExample", "WrongExample.warm raises ValueError: "),
        (f"{FAULTY}:NoHandler", "is not a Handler"),
        (f"{FAULTY}:Unfinished", "lacks example, predict"),
        ("nobody.has:This", "no module nobody"),
        ("other=examples.windchill.handler:WindChill", "HANDLER names 'other'"),
    ],
)
def test_what_does_not_load_is_told_in_one_line(handler: str, fault: str) -> None:
    status, told = lines(handler)
    assert status == 1
    assert len(told) == 1
    assert told[0].startswith("wrong: ")
    assert fault in told[0]


@pytest.mark.parametrize("handler", ["NeverDeclared", "ExitsInLoad", "ExitsInWarm", "FailsToLoad"])
def test_a_start_ends_with_what_is_wrong_and_its_remedy(handler: str) -> None:
    """As a StartError, so that a service says it in one line as well."""
    settings = Settings(service="onnx", model_uri=WINDCHILL.as_uri(), handler=f"{FAULTY}:{handler}")
    with pytest.raises(
        StartError, match=r": (mend it, then run validate|make it .*, at the latest in load)$"
    ):
        next(load_models(no_engine, settings, Metrics()))


def test_every_model_is_tried_by_its_name() -> None:
    uri = f"one={WINDCHILL.as_uri()},two={WINDCHILL.as_uri()}"
    good = "examples.windchill.handler:WindChill"
    status, told = lines(f"one={good},two={FAULTY}:WrongName", model_uri=uri)
    assert status == 1
    assert sum(line.startswith("ok one: ") for line in told) == CHECKS
    assert [line.partition(" two")[0] for line in told if " two: " in line][-1] == "wrong:"


def test_a_missing_model_is_told(tmp_path: Path) -> None:
    uri = (tmp_path / "nothing.json").as_uri()
    status, told = lines("examples.windchill.handler:WindChill", model_uri=uri)
    assert status == 1
    assert "does not exist" in told[0]


def command(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"{name}_serving", "validate"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", ["torch", "onnx", "batched"])
def test_the_image_classifier_passes_with_every_engine(
    name: str, environment: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    done = command(name, MODEL_CACHE_DIR=str(tmp_path), **environment(name))
    told = done.stdout.splitlines()
    assert [line for line in told if not line.startswith("ok weather: ")] == []
    assert len(told) == CHECKS
    assert done.returncode == 0


@pytest.mark.slow
def test_the_command_fails_where_a_handler_does() -> None:
    done = command("onnx", ONNX_MODEL_URI=WINDCHILL.as_uri(), HANDLER=f"{FAULTY}:WrongName")
    assert done.returncode == 1
    assert "wrong: windchill: " in done.stdout


def test_of_a_mask_one_flag_is_inverted_in_another_place_each_time() -> None:
    mask = np.ones(8, np.bool_)
    varied = variants({"mask": mask}, (TensorSpec("mask", "BOOL", (-1,)),), 1)
    assert [int((item["mask"] != mask).sum()) for item in varied] == [0, 1, 1, 1]
    assert len({item["mask"].tobytes() for item in varied}) == 4
    empty = np.ones(0, np.bool_)
    for item in variants({"mask": empty}, (TensorSpec("mask", "BOOL", (-1,)),), 1):
        assert item["mask"].shape == (0,)


@pytest.mark.parametrize("values", [[0, 1, 1, 0], [5, 6], [0, 1, 2, 3], [7, 7], [0, 255]])
def test_whole_numbers_are_varied_within_their_range(values: list[int]) -> None:
    """A number that the example does not have may be none that the model knows."""
    given = np.array(values, np.uint8)
    varied = [item["x"] for item in variants({"x": given}, (TensorSpec("x", "UINT8", (-1,)),), 1)]
    if min(values) < max(values):
        assert {int(one) for item in varied for one in item} <= set(range(min(values), max(values) + 1))
    assert all((one != given).any() for one in varied[1:])
