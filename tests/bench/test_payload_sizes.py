"""A run keeps how large the files of each class are, and nothing is compared by it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.analysis.comparability import comparable_facts
from bench.model import Environment, PayloadSizes, RunSettings
from bench.model.expectations import NoExpectation
from bench.request_sets.payload_sizes import payload_sizes
from bench.request_sets.request_set import InputTensor, SetRequest, WholeBody
from bench.verbs.arguments import Places
from bench.verbs.jobs import make_job
from tests.bench.test_verb_options import session


def request(size: int, name: str = "a", suffix: str = "jpg") -> SetRequest:
    tensor = InputTensor("image", "BYTES", (1,), (b"x" * size,), suffix=suffix)
    return SetRequest(f"{name}{size}", (tensor,), NoExpectation(), name)


def test_sizes_are_those_of_the_files_of_the_classes_that_are_timed() -> None:
    whole = SetRequest("w", WholeBody(b"12345", "text/plain"), NoExpectation(), "whole")
    numbers = InputTensor("x", "FP32", (1, 2), np.zeros((1, 2), np.float32))
    found = payload_sizes(
        [
            *map(request, (30, 10, 20)),
            request(5, "mixed"),
            request(6, "mixed", suffix="bin"),
            whole,
            SetRequest("n", (numbers,), NoExpectation(), "numbers"),
            request(9, "unasked"),
        ],
        ("a", "mixed", "whole", "numbers"),
    )
    assert found == {
        "a": PayloadSizes(10, 20, 30, pictures=True),
        "mixed": PayloadSizes(5, 5, 6, pictures=False),
        "whole": PayloadSizes(5, 5, 5, pictures=False),
    }


def test_a_session_keeps_them_with_its_settings(project: Path) -> None:
    plan = make_job(session("run --payloads small"), Places(project, None, None)).plan
    assert plan.settings().payload_sizes == {"small": PayloadSizes(4_000, 4_000, 4_000, pictures=True)}


@pytest.mark.parametrize("known", [True, False])
def test_runs_that_differ_in_whether_sizes_are_known_are_comparable(known: bool) -> None:
    sizes = {"small": PayloadSizes(1, 2, 3, pictures=True)}
    told = Environment(settings=RunSettings(window_s=4.0, payload_sizes=sizes))
    other = told if known else replace(told, settings=RunSettings(window_s=4.0))
    assert comparable_facts(other) == {"settings.window_s": "4.0"}
