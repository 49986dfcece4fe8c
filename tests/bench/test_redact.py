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
