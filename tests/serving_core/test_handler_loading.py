"""HANDLER names a class, or the start ends with one line that says why it does not."""

from pathlib import Path

import pytest

from examples.windchill.handler import WindChill
from serving_core.classifier import ImageClassifier
from serving_core.errors import StartError
from serving_core.loading import load_handler

FAULTY = "tests.serving_core.faulty_handlers"


def test_a_class_is_found_by_its_name() -> None:
    assert load_handler("examples.windchill.handler:WindChill") is WindChill
    assert load_handler("serving_core.classifier:ImageClassifier") is ImageClassifier


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("examples.windchill.handler.WindChill", "write package.module:Class"),
        ("examples.windchill.handler:", "write package.module:Class"),
        (":WindChill", "write package.module:Class"),
        ("../handler:WindChill", "write package.module:Class"),
        ("no_such_package.handler:WindChill", "no module no_such_package: "),
        ("examples.windchill.nothing:WindChill", "no module examples.windchill.nothing: "),
        ("examples.windchill.handler:Rain", "has no Rain: "),
        (f"{FAULTY}:NoHandler", "is not a Handler: "),
        (f"{FAULTY}:Path", "is not a Handler: "),
        (f"{FAULTY}:Unfinished", "lacks example, predict: "),
        (f"{FAULTY}:WantsArguments", "without arguments"),
    ],
)
def test_what_is_no_handler_is_told_in_one_line(name: str, told: str) -> None:
    with pytest.raises(StartError) as refusal:
        load_handler(name)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import a_package_that_nobody_has", "needs a_package_that_nobody_has: install it"),
        ("1 / 0", "is imported (ZeroDivisionError: division by zero)"),
        ("def broken(:", "is imported (SyntaxError: "),
        ("import sys; sys.exit(3)", "is imported (SystemExit: 3)"),
        ("raise SystemExit", "is imported (SystemExit)"),
    ],
)
def test_a_module_that_cannot_be_imported_says_why(
    code: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_to_break.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StartError) as refusal:
        load_handler("mine_to_break:Handler")
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)
