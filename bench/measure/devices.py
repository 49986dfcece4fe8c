"""Which strategies a device leaves: their label bench.devices says what each can compute on."""

from collections.abc import Sequence

from bench.errors import UsageError
from bench.model import Device, Strategy


def able_to(strategies: Sequence[Strategy], device: Device, *, named: bool) -> tuple[Strategy, ...]:
    """The strategies that compute on the device.

    Raises UsageError where one that cannot was `named`, or where none is left.
    """
    able = tuple(s for s in strategies if device == "auto" or device in s.devices)
    unable = ", ".join(s.name for s in strategies if s not in able)
    if named and unable:
        raise UsageError(
            f"{unable} cannot compute on {device}: leave it out of --strategies, choose another --device, or "
            f"label its service with bench.devices: {device} if it can"
        )
    if not able:
        raise UsageError(
            f"no strategy computes on {device}: label one that does with bench.devices: {device}"
        )
    return able
