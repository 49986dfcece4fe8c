"""What /predict/ answers: outputs of every kind, and of several items each its own error."""

import json
import logging
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest

from serving_core.calls import Outputs, Signature
from serving_core.codecs.encodings import choose
from serving_core.errors import RequestError, fault
from serving_core.tensors import BYTES, TensorSpec

READ = {"application/json": json.loads, "application/msgpack": msgpack.unpackb}
OUR_FAULT = {"error": fault().message}


def answered(
    kind: str,
    outcomes: list[Outputs],
    query: bytes = b"",
    answer: Callable[[Outputs, int | None], Any] = lambda outputs, _: outputs,
    one: bool = False,
) -> Any:
    outputs = (TensorSpec("said", BYTES, text=True),)
    signature = Signature("m", None, "test", (TensorSpec("x", BYTES, text=True),), outputs, answer, 4)
    sent = {"x": "a"} if one else {"xs": ["a"] * len(outcomes)}
    body = json.dumps(sent).encode() if kind == "application/json" else msgpack.packb(sent)
    call = choose({b"content-type": kind.encode()}, query, signature)(body)
    written = call.encode(outcomes)
    assert written.content_type == kind.encode()
    return READ[kind](written.body)


@pytest.mark.parametrize("kind", READ)
def test_outputs_of_every_kind_are_written(kind: str) -> None:
    outputs = {"said": b"hi", "raw": b"\xff", "score": np.array([1, 2], np.float32), "n": np.int64(3)}
    raw = "/w==" if kind == "application/json" else b"\xff"
    expected = {"said": "hi", "raw": raw, "score": [1, 2], "n": 3}
    views = {"score": np.zeros((2, 4), np.float32)[:, ::2], "n": np.array(1)}
    assert answered(kind, [outputs], one=True) == expected
    assert answered(kind, [views, outputs]) == [{"score": [[0, 0], [0, 0]], "n": 1}, expected]


def picky(outputs: Outputs, top_k: int | None) -> Outputs:
    if top_k is not None:
        raise RequestError(400, "this model ranks nothing: send no top_k")
    if outputs["said"] == "odd":
        raise RequestError(422, "this cannot be said: send something else")
    return outputs


@pytest.mark.parametrize("kind", READ)
def test_an_item_whose_answer_is_refused_is_an_error_in_its_own_place(kind: str) -> None:
    outcomes = [{"said": "a"}, {"said": "odd"}, {"said": "b"}]
    refused = {"error": "this cannot be said: send something else"}
    assert answered(kind, outcomes, answer=picky) == [{"said": "a"}, refused, {"said": "b"}]


@pytest.mark.parametrize("kind", READ)
def test_an_only_item_whose_answer_is_refused_refuses_the_request(kind: str) -> None:
    with pytest.raises(RequestError) as caught:
        answered(kind, [{"said": "odd"}], answer=picky, one=True)
    assert caught.value.status == 422


@pytest.mark.parametrize("kind", READ)
def test_an_idle_top_k_refuses_the_request_and_not_each_item(kind: str) -> None:
    with pytest.raises(RequestError, match="send no top_k"):
        answered(kind, [{"said": "a"}, {"said": "b"}], b"top_k=2", picky)


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize(
    "value",
    [object(), 2**64, "\ud800", b"\xff", [[2**64]]],
    ids=["object", "long", "surrogate", "no text", "nested"],
)
def test_an_answer_that_cannot_be_written_is_our_fault_in_its_own_place(
    kind: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    good = {"said": "a", "n": np.float32(1.5), "all": np.arange(2)}
    right = {"said": "a", "n": 1.5, "all": [0, 1]}
    with caplog.at_level(logging.ERROR):
        assert answered(kind, [good, {"said": value}, good]) == [right, OUR_FAULT, right]
    (record,) = caplog.records
    assert record.exc_info is not None


@pytest.mark.parametrize("kind", READ)
def test_an_only_answer_that_cannot_be_written_is_left_to_the_service_to_log(kind: str) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        answered(kind, [{"said": 2**64}], one=True)


@pytest.mark.parametrize("kind", READ)
def test_a_fault_of_the_handler_s_answer_is_ours_in_its_own_place(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def halved(outputs: Outputs, _: int | None) -> Any:
        return {"half": 1 / outputs["n"]}

    assert answered(kind, [{"n": 2}, {"n": 0}], answer=halved) == [{"half": 0.5}, OUR_FAULT]
    assert "ZeroDivisionError" in caplog.text
