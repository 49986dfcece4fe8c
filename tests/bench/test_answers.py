"""An answer is right only with the right label and every probability within the tolerance, however sent."""

import json
import struct
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.load.answers import CACHED_ANSWERS, CACHED_BYTES, AnswerChecker
from bench.load.drive_plan import Expected
from bench.model.expectations import LabelExpectation, NoExpectation
from bench.request_sets import replies
from bench.request_sets.comparators import comparison
from bench.request_sets.replies import FORMS
from bench.request_sets.request_set import AS_IS

PROBABILITIES = {"rain": 0.7, "snow": 0.3}
# of the answers to tensors; what answers other bodies may have any of these forms
READERS = tuple(name for name in FORMS if name != AS_IS)
NAN = float("nan")


def expected(label: str, probabilities: dict[str, float], reply: str) -> Expected:
    """What a checker is told of a payload."""
    return Expected(0, 1, "application/json", LabelExpectation(label, probabilities), reply=reply)


def answer_is_right(
    answer: bytes, label: str, probabilities: dict[str, float], tolerance: float, reply: str = "json"
) -> bool:
    return comparison(LabelExpectation(label, probabilities), reply, tolerance)(answer).right


def says(label: object = "rain", /, **probabilities: object) -> dict[str, Any]:
    return {"prediction": label, "probabilities": {**PROBABILITIES, **probabilities}}


def body(label: str = "rain", **probabilities: object) -> bytes:
    return json.dumps(says(label, **probabilities)).encode()


def packed(content: object) -> bytes:
    made: bytes = msgpack.packb(content)
    return made


def label_is(*labels: str, **changes: object) -> dict[str, object]:
    return {"name": "label", "datatype": "BYTES", "shape": [1], "data": [*labels], **changes}


def row(*values: object, name: str = "probabilities", **changes: object) -> dict[str, object]:
    return {"name": name, "datatype": "FP32", "shape": [1, 2], "data": [*values], **changes}


def oip(*outputs: object) -> bytes:
    return json.dumps({"model_name": "m", "outputs": outputs}).encode()


def binary(*outputs: dict[str, Any], pad: bytes = b"", tail: bytes = b"") -> bytes:
    """The outputs with their data after the JSON."""
    head, parts = [], []
    for output in outputs:
        data = output["data"]
        if output["datatype"] == "BYTES":
            part = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in data)
        else:
            part = struct.pack(f"<{len(data)}f", *data)
        size = {"parameters": {"binary_data_size": len(part)}}
        head.append(size | {name: value for name, value in output.items() if name != "data"})
        parts.append(part)
    return oip(*head) + pad + b"".join(parts) + tail


RAIN, LOGITS = label_is("rain"), row(1.0, 0.15, name="logits")
OF_TENSORS: list[tuple[tuple[dict[str, Any], ...], bool]] = [
    ((RAIN, row(0.7, 0.3)), True),
    ((row(0.7, 0.3), RAIN), True),
    ((LOGITS, row(0.7, 0.3), RAIN), True),
    ((RAIN, row(0.715, 0.285)), True),
    ((RAIN, row(0.73, 0.27)), False),
    ((RAIN, row(0.3, 0.7)), False),
    ((label_is("snow"), row(0.7, 0.3)), False),
    ((label_is("rain", "snow", shape=[2]), row(0.7, 0.3)), False),
    ((label_is(), row(0.7, 0.3)), False),
    ((RAIN, row(0.7)), False),
    ((RAIN, row(0.7, shape=[1, 1])), False),
    ((RAIN, row(0.7, 0.3, 0.0)), False),
    ((RAIN, row(0.7, 0.3, 0.0, shape=[1, 3])), False),
    ((RAIN, row(0.7, 0.3, shape=[2, 1])), False),
    ((RAIN, row(0.7, 0.3, datatype="FP64")), False),
    ((RAIN, row(NAN, 0.3)), False),
    ((RAIN, row(0.7, 0.3), row(NAN, 0.15, name="logits")), False),
    ((RAIN, row(0.7, 0.3), row(1.0, name="logits")), False),
    ((RAIN, row(0.7, 0.3), row(1.0, 2.0, name="embedding")), False),
    ((RAIN, row(0.7, 0.3), row(0.7, 0.3)), False),
    ((RAIN, RAIN, row(0.7, 0.3)), False),
    ((RAIN,), False),
    ((row(0.7, 0.3),), False),
    ((), False),
]
GOOD_BINARY = binary(RAIN, row(0.7, 0.3))


def sized(first: int, second: int, answer: bytes = GOOD_BINARY) -> bytes:
    """The same tensors, with other sizes said of them."""
    head, mark, rest = answer.partition(b'_size": 8')
    return head + b'_size": %d' % first + rest.replace(mark, b'_size": %d' % second)


ROWS: list[tuple[str, bytes, bool]] = [
    ("json", body(), True),
    ("json", body(rain=0.715, snow=0.285), True),
    ("json", body(rain=0.73, snow=0.27), False),
    ("json", body("snow"), False),
    ("json", body(hail=0.0), False),
    ("json", body(rain="much"), False),
    ("json", body(rain=NAN), False),
    ("json", body(rain=None), False),
    ("json", body()[:-1], False),
    ("json", b'{"prediction": "rain"}', False),
    ("json", b'{"prediction": "rain", "probabilities": {"rain": 0.7}}', False),
    ("json", b'{"prediction": "rain", "probabilities": [0.7, 0.3]}', False),
    ("json", b"[]", False),
    ("json", b"not json", False),
    ("json", b"\xff\xfe", False),
    ("json", b"", False),
    ("json", b"[" * 100_000, False),
    ("json", body().replace(b"0.7", b"7" * 400), False),
    ("json", packed(says()), False),
    ("msgpack", packed(says()), True),
    ("msgpack", packed(says(rain=0.715, snow=0.285)), True),
    ("msgpack", packed(says(rain=0.73, snow=0.27)), False),
    ("msgpack", packed(says("snow")), False),
    ("msgpack", packed(says(b"rain")), False),
    ("msgpack", packed(says(hail=0.0)), False),
    ("msgpack", packed(says(rain=NAN)), False),
    ("msgpack", packed(says(rain="much")), False),
    ("msgpack", packed({"prediction": "rain", "probabilities": {"rain": 0.7}}), False),
    ("msgpack", packed({"prediction": "rain", "probabilities": [0.7, 0.3]}), False),
    ("msgpack", packed(says())[:-1], False),
    ("msgpack", packed(says()) + b"\x00", False),
    ("msgpack", body(), False),
    ("msgpack", b"", False),
    *[("oip-json", oip(*outputs), right) for outputs, right in OF_TENSORS],
    ("oip-json", oip(RAIN, row([0.7, 0.3])), True),
    ("oip-json", oip(RAIN, row("0.7", "0.3")), False),
    ("oip-json", oip(RAIN, row(0.7, 0.3), row("1", "2", name="logits")), False),
    ("oip-json", oip(RAIN, row(0.7, 0.3))[:-1], False),
    ("oip-json", oip(RAIN, row(0.7, 0.3)) + b"\x00", False),
    ("oip-json", GOOD_BINARY, False),
    ("oip-json", body(), False),
    *[("oip-binary", binary(*outputs), right) for outputs, right in OF_TENSORS],
    ("oip-binary", binary(RAIN, row(0.7, 0.3), pad=b" \n "), True),
    ("oip-binary", b"\n" + GOOD_BINARY, True),
    ("oip-binary", GOOD_BINARY[:-1], False),
    ("oip-binary", GOOD_BINARY[:-8], False),
    ("oip-binary", binary(RAIN, row(0.7, 0.3), tail=b"\x00"), False),
    ("oip-binary", binary(RAIN, row(0.7, 0.3), pad=b"}"), False),
    ("oip-binary", sized(8, 8), True),
    ("oip-binary", sized(9, 8), False),
    ("oip-binary", sized(7, 8), False),
    # all bytes are there, and together as long as they should be
    ("oip-binary", sized(9, 7), False),
    ("oip-binary", sized(12, 4), False),
    ("oip-binary", sized(-8, 24), False),
    ("oip-binary", sized(9, 7, binary(row(0.7, 0.3), RAIN)), False),
    ("oip-binary", GOOD_BINARY.replace(b"\4\0\0\0rain", b"\5\0\0\0rain"), False),
    ("oip-binary", GOOD_BINARY.replace(b"\4\0\0\0rain", b"\3\0\0\0rain"), False),
    ("oip-binary", GOOD_BINARY.replace(b'_size": 8', b'_size": 8.0'), False),
    ("oip-binary", oip(RAIN, row(0.7, 0.3)), False),
    ("oip-binary", b"", False),
]


@pytest.mark.parametrize(("reply", "answer", "right"), ROWS)
def test_an_answer_is_judged_by_label_and_probabilities(reply: str, answer: bytes, right: bool) -> None:
    assert answer_is_right(answer, "rain", PROBABILITIES, 0.02, reply) is right


def test_data_that_are_no_list_are_wrong_even_where_they_have_its_length() -> None:
    for data, right in ((["r"], True), ("r", False)):
        answer = oip(label_is(data=data), row(0.7, 0.3))
        assert answer_is_right(answer, "r", PROBABILITIES, 0.02, "oip-json") is right


def test_text_beyond_ascii_does_not_move_where_the_tensors_begin() -> None:
    answer = binary(label_is("brouillard givré ☃"), row(0.7, 0.3)).replace(
        b'"model_name": "m"', '"model_name": "Wetter ☃ öäü }"'.encode()
    )
    assert answer_is_right(answer, "brouillard givré ☃", PROBABILITIES, 0.02, "oip-binary")


def test_tensors_that_look_like_json_or_white_space_are_read_as_tensors() -> None:
    spaces = struct.unpack("<2f", b"    \n\n\n\n")
    wanted = {"rain": spaces[0], "snow": spaces[1]}
    for label in ("}", "{", '"', " \n"):
        answer = binary(row(*spaces), label_is(label))
        assert answer_is_right(answer, label, wanted, 1e-9, "oip-binary")
        assert not answer_is_right(answer, label + "x", wanted, 1e-9, "oip-binary")


@pytest.mark.parametrize("reply", FORMS)
@given(answer=st.binary(max_size=200))
@example(answer=b"[" * 200_000)
@example(answer=b'{"a":' * 200_000)
@example(answer=b"\x91" * 200_000)
@example(answer=b"\xd7\xff" + b"\xff" * 8)
@example(answer=b'{"outputs":7}')
@example(answer=b'{"outputs":[{"name":[],"datatype":"BYTES","shape":[1],"data":["a"]}]}')
def test_no_bytes_at_all_are_right_or_raise(reply: str, answer: bytes) -> None:
    assert answer_is_right(answer, "rain", PROBABILITIES, 0.02, reply) is False


RIGHT = {
    "json": body(),
    "msgpack": packed(says()),
    "oip-json": oip(RAIN, row(0.7, 0.3)),
    "oip-binary": binary(RAIN, LOGITS, row(0.7, 0.3)),
}


@pytest.mark.parametrize("reply", READERS)
@given(data=st.data())
def test_a_right_answer_with_a_piece_replaced_never_raises(reply: str, data: st.DataObject) -> None:
    good = RIGHT[reply]
    begin = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(begin, len(good)))
    piece = data.draw(st.binary(max_size=12) | st.sampled_from([b"[]", b"{}", b"null", b"1e999", b"9" * 400]))
    answer_is_right(good[:begin] + piece + good[end:], "rain", PROBABILITIES, 0.02, reply)


@pytest.mark.parametrize("reply", READERS)
def test_every_beginning_of_a_right_answer_is_wrong(reply: str) -> None:
    good = RIGHT[reply]
    assert answer_is_right(good, "rain", PROBABILITIES, 0.02, reply)
    right = [n for n in range(len(good)) if answer_is_right(good[:n], "rain", PROBABILITIES, 0.02, reply)]
    assert right == []


def test_a_form_that_is_not_known_is_our_own_fault_and_no_wrong_answer() -> None:
    with pytest.raises(KeyError):
        answer_is_right(body(), "rain", PROBABILITIES, 0.02, "xml")


@pytest.mark.parametrize("reply", READERS)
def test_bytes_that_were_right_for_one_payload_are_not_right_for_another(reply: str) -> None:
    other = {"rain": 0.3, "snow": 0.7}
    checker = AnswerChecker([expected("rain", PROBABILITIES, reply), expected("snow", other, reply)], 0.02)
    for _ in range(2):
        assert checker.check(0, RIGHT[reply])
        assert not checker.check(1, RIGHT[reply])


def test_a_payload_is_read_in_the_form_that_it_expects() -> None:
    checker = AnswerChecker([expected("rain", PROBABILITIES, reply) for reply in READERS], 0.02)
    for _ in range(2):
        found = [[checker.check(index, RIGHT[reply]) for index in range(len(READERS))] for reply in READERS]
        assert found == [[index == own for index in range(len(READERS))] for own in range(len(READERS))]


def test_known_right_bytes_are_not_parsed_again_and_the_cache_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checker = AnswerChecker([expected("rain", PROBABILITIES, "json")], 0.02)
    answers = [body() + b" " * spaces for spaces in range(CACHED_ANSWERS + 10)]
    assert all(checker.check(0, answer) for answer in answers)

    def fail(*_: object) -> Any:
        raise ValueError("parsed again")

    monkeypatch.setattr(replies, "orjson", SimpleNamespace(loads=fail))
    known = [checker.check(0, answer) for answer in answers]
    assert known == [True] * CACHED_ANSWERS + [False] * 10


def test_what_is_remembered_is_bounded_in_bytes_over_all_payloads(monkeypatch: pytest.MonkeyPatch) -> None:
    size = CACHED_BYTES // 4
    long = [body().ljust(size - place) for place in range(5)]
    checker = AnswerChecker([expected("rain", PROBABILITIES, "json")] * 2, 0.02)
    assert all(checker.check(place % 2, answer) for place, answer in enumerate(long))

    def fail(*_: object) -> Any:
        raise ValueError("parsed again")

    monkeypatch.setattr(replies, "orjson", SimpleNamespace(loads=fail))
    known = [checker.check(place % 2, answer) for place, answer in enumerate(long)]
    assert known == [True] * 4 + [False]


def test_no_body_is_hashed_for_a_payload_that_remembers_none() -> None:
    class Unhashed(bytes):
        def __hash__(self) -> int:
            raise AssertionError("hashed")

    checker = AnswerChecker([Expected(0, 1, "application/json", NoExpectation())], 0.02)
    assert checker.check(0, Unhashed(b"anything"))
    assert checker.check(0, Unhashed(b"anything"))
