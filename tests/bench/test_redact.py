"""No folder of this machine and no host name gets into a run's texts."""

import platform
import tempfile
from pathlib import Path

from bench.measure.machine.fingerprint import make_redactor


def test_folders_and_the_host_get_names_of_their_own(tmp_path: Path) -> None:
    redact = make_redactor(tmp_path / "project")
    assert redact(f"open {tmp_path}/project/model.json failed") == "open ./model.json failed"
    assert redact(f"no {Path.home()}/.cache") == "no ~/.cache"
    assert redact(f"no {tempfile.gettempdir()}/bench-1/x") == "no <tmp>/bench-1/x"
    assert redact(f"{platform.node()} refused") == "<host> refused"


def test_other_words_stay_as_they_are(tmp_path: Path) -> None:
    redact = make_redactor(tmp_path)
    text = f"{platform.node()}s said that {tmp_path}2/a and 5% of requests failed"
    assert redact(text).replace("<tmp>", tempfile.gettempdir()) == text


def test_hosts_of_services_are_no_names_of_a_run(tmp_path: Path) -> None:
    redact = make_redactor(tmp_path, ["Inner.example", "10.9.8.7"])
    told = "certificate is not valid for 'inner.example'; 10.9.8.7 refused, 110.9.8.70 did not"
    assert redact(told) == "certificate is not valid for '<host>'; <host> refused, 110.9.8.70 did not"
    assert redact('{"host": "inner.example:9000"}') == '{"host": "<host>"}'
    redact = make_redactor(tmp_path, ["2001:db8::7"])
    assert redact("[2001:db8::7]:9000, [2001:db8::7] and 2001:db8::7") == "<host>, <host> and <host>"


def test_a_host_that_is_called_like_a_strategy_keeps_its_name(tmp_path: Path) -> None:
    redact = make_redactor(tmp_path, ["torch", "Onnx", "inner.example"], ["torch", "onnx"])
    told = "torch did not answer, onnx did; inner.example did not"
    assert redact(told) == "torch did not answer, onnx did; <host> did not"
