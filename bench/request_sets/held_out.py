"""The held-out set of a request set: requests beside it that are sent once and never timed."""

from pathlib import Path

from bench.errors import UsageError
from bench.model.expectations import LabelExpectation
from bench.request_sets.comparators import comparator_of
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import SetRequest

HELD_OUT = "held_out"


def read_held_out(folder: Path) -> tuple[SetRequest, ...]:
    """The requests of folder/held_out, none without such a folder; raises UsageError as a request set does.

    Each must expect a label: raises UsageError for another.
    """
    place = folder / HELD_OUT
    if not place.is_dir():
        return ()
    requests = read_request_set(place).requests
    for one in requests:
        if not isinstance(one.expect, LabelExpectation):
            raise UsageError(
                f"{HELD_OUT}/: {one.name} expects {comparator_of(one.expect).name}, and agreement is of "
                "labels: record the set with --compare label, or take the folder away"
            )
    return requests
