"""Every signal that asks to end does so once, and none while things are put back."""

import signal
import subprocess
import sys

import pytest

from bench.verbs.interrupts import ENDING, undisturbed


@pytest.mark.parametrize("number", ENDING)
def test_no_signal_ends_the_block(number: int) -> None:
    before = signal.getsignal(number)
    with undisturbed():
        signal.raise_signal(number)
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(("before", "said"), [("SIG_DFL", "interrupted"), ("SIG_IGN", "went on")])
def test_a_hang_up_is_ctrl_c_unless_it_is_ignored(before: str, said: str) -> None:
    code = f"""
import signal
from bench.verbs.interrupts import end_as_by_ctrl_c
signal.signal(signal.SIGHUP, signal.{before})
end_as_by_ctrl_c()
try:
    signal.raise_signal(signal.SIGHUP)
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said
