"""What rust_serving leaves out names tests that there are."""

from pathlib import Path

import pytest

from tests.contract.left_out import LEFT_OUT, reason_to_leave_out

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("test", [test for one in LEFT_OUT for test in one.tests])
def test_a_test_that_is_left_out_exists(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8")


def test_a_file_and_a_test_alone_are_left_out() -> None:
    assert "they are Python" in str(
        reason_to_leave_out("tests/contract/test_models.py::test_any[rust-weather]")
    )
    assert reason_to_leave_out("tests/services/test_life.py::test_a_stop[rust]") is None
