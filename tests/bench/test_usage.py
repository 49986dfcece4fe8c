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


def test_the_peak_is_the_highest_sample_of_the_working_set() -> None:
    assert peak_memory_bytes([FIRST, replace(FIRST, memory_bytes=300), LAST]) == 300


def test_a_longer_window_is_sampled_for_its_peak_as_long_as_a_window_of_the_planned_length() -> None:
    """A slow service's window lasts up to four times as long: more samples alone would find a higher peak."""
    grown = [replace(FIRST, at_ns=int(s * 1e9), memory_bytes=100 + s) for s in range(17)]
    assert peak_memory_bytes(grown, within_s=4.0) == peak_memory_bytes(grown[:5]) == 104
    assert peak_memory_bytes(grown) == 116
    assert peak_memory_bytes([], within_s=4.0) is None


def test_the_kernels_mark_is_a_figure_of_its_own() -> None:
    """It counts file cache, and what was in use before the window: 429 MiB of a service that needs 29."""
    last = replace(LAST, peak_bytes=900)
    assert peak_memory_bytes([FIRST, last]) == 120
    assert resource_figures([FIRST, last], 0.0, None).kernel_peak_bytes == 900
    assert resource_figures([FIRST, LAST], 0.0, None).kernel_peak_bytes is None
