"""Numbers from outside: whatever their length or script, they are read or refused, and nothing fails."""

import pytest

from serving_core.codecs import oip
from serving_core.codecs.encodings import choose
from serving_core.errors import RequestError, StartError
from serving_core.http.predict import BodyReader
from serving_core.numbers import MOST_DIGITS, whole_number
from serving_core.settings import load_settings
from tests.serving_core.test_encodings import IMAGE

LONG = "0" * 5000 + "3"
WRONG = ["", "-1", "+5", " 5", "5 ", "5_000", "1e3", "1.0", "0x10", "\xb2", "five", "5,5", LONG, "9" * 5000]


@pytest.mark.parametrize("text", [*WRONG, "\u0663", "\uff15"])
def test_what_is_not_a_number_within_bounds_is_none(text: str) -> None:
    assert whole_number(text) is None
    assert whole_number(text.encode()) is None


def test_digits_are_counted_before_they_are_read() -> None:
    assert whole_number("9" * MOST_DIGITS) == 10**MOST_DIGITS - 1
    assert whole_number(b"007") == 7
    assert whole_number("0") == 0
    assert whole_number("1" * (MOST_DIGITS + 1)) is None
    assert whole_number("9" * 5000, beyond=8) == 8
    assert whole_number("9" * 5000 + "x", beyond=8) is None


@pytest.mark.parametrize("sent", [text for text in WRONG if text])
def test_a_wrong_number_in_a_header_is_refused(sent: str) -> None:
    value = sent.encode("latin-1")
    with pytest.raises(RequestError, match="Inference-Header-Content-Length is wrong") as refused:
        oip.choose({b"inference-header-content-length": value}, IMAGE)
    assert refused.value.status == 400
    with pytest.raises(RequestError, match="Content-Length is wrong") as refused:
        BodyReader(None, {b"content-length": value}, lambda *_: None).declared(10)  # type: ignore[arg-type]  # nothing is read
    assert refused.value.status == 400


@pytest.mark.parametrize("sent", [text for text in WRONG if text != "9" * 5000])
def test_a_wrong_number_in_the_query_is_refused(sent: str) -> None:
    with pytest.raises(RequestError, match="top_k is wrong") as refused:
        choose({b"content-type": b"image/png"}, b"top_k=" + sent.replace("+", "%2b").encode(), IMAGE)
    assert refused.value.status == 400


def test_a_long_number_in_a_setting_is_told_in_a_short_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNX_MODEL_URI", "file:///model.onnx")
    monkeypatch.setenv("MAX_BODY_BYTES", "9" * 5000)
    with pytest.raises(StartError, match="MAX_BODY_BYTES='9999") as refused:
        load_settings("onnx", "ONNX_MODEL_URI")
    assert len(str(refused.value)) < 300
