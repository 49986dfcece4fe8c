"""A window's resources are what lies between its two ends, and its peak is one that was not missed."""

from dataclasses import replace

import pytest

from bench.measure.machine.usage import Usage, peak_memory_bytes, resource_figures
from bench.model import GpuFigures, ResourceFigures

FIRST = Usage(0, 0, 100, throttled=2, received_bytes=1_000, sent_bytes=50)
LAST = Usage(9, 0, 120, throttled=5, received_bytes=61_000, sent_bytes=250)


def test_network_bytes_and_throttled_periods_are_of_the_window_alone() -> None:
    gpu = GpuFigures(0.5, 1, 2.0)
    assert resource_figures([FIRST, LAST], 0.0123456789, gpu) == ResourceFigures(
        60_000, 200, 3, 0.012346, gpu
    )


@pytest.mark.parametrize(
    "usages",
    [
        [FIRST],
        [replace(FIRST, received_bytes=None, sent_bytes=None), LAST],
        [FIRST, replace(LAST, received_bytes=None, sent_bytes=None)],
        # counters that fell began anew: how much was there before is lost
        [LAST, FIRST],
    ],
)
def test_network_bytes_that_are_not_known_at_both_ends_are_none(usages: list[Usage]) -> None:
    found = resource_figures(usages, 0.0, None)
    assert (found.received_bytes, found.sent_bytes) == (None, None)


def test_without_the_kernels_mark_the_peak_is_the_highest_sample() -> None:
    assert peak_memory_bytes([FIRST, replace(FIRST, memory_bytes=300), LAST]) == 300


def test_the_kernels_mark_has_the_peak_that_no_sample_saw() -> None:
    assert peak_memory_bytes([FIRST, replace(LAST, peak_bytes=900)]) == 900


def test_file_cache_that_was_there_all_along_is_no_part_of_the_peak() -> None:
    first, last = replace(FIRST, file_cache_bytes=500), replace(LAST, file_cache_bytes=300, peak_bytes=900)
    assert peak_memory_bytes([first, last]) == 600


def test_a_sample_above_the_mark_stands() -> None:
    assert peak_memory_bytes([replace(FIRST, memory_bytes=700), replace(LAST, peak_bytes=650)]) == 700
