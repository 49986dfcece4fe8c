"""How batches go through a device so that one is copied while another is computed. No CUDA in here.

Two streams do in order what they are given: one copies pixels to the device, one computes and copies the
answers back. Events tie them together. Each call of `predict` takes a slot, which has buffers on both sides,
so that as many calls as there are slots are under way at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from batched_serving.batch_sizes import bucket_for
from serving_core.engine import Logits, Pixels


class Event(Protocol):
    """A mark in a stream, as torch.cuda.Event is."""

    def record(self, stream: Any) -> None:
        """Set the mark behind all that the stream was given so far."""

    def synchronize(self) -> None:
        """Return when all before the mark is done."""


class Stream(Protocol):
    """Work done in the order in which it is given, as torch.cuda.Stream does it."""

    def wait_event(self, event: Any) -> None:
        """Do what is given from now on only after the event's mark; returns at once."""


class Slot(Protocol):
    """The buffers of one batch, and two events: its pixels are on the device; its answers are here."""

    @property
    def copied(self) -> Event:
        """Recorded on the copy stream."""

    @property
    def done(self) -> Event:
        """Recorded on the compute stream."""


SlotT = TypeVar("SlotT", bound=Slot)
TakenT = TypeVar("TakenT", bound=Slot, contravariant=True)


class Staging(Protocol[TakenT]):
    """A device's part. `fill` and `read` are done when they return; the others give work to a stream."""

    @property
    def copy_stream(self) -> Stream:
        """Takes pixels to the device."""

    @property
    def compute_stream(self) -> Stream:
        """Computes, and brings the answers back."""

    def fill(self, slot: TakenT, pixels: Pixels) -> None:
        """Put the pixels into the slot's buffer on this side."""

    def copy_in(self, slot: TakenT, count: int) -> None:
        """On the copy stream: bring `count` images to the slot's buffer on the device."""

    def compute(self, slot: TakenT, count: int, bucket: int) -> None:
        """On the compute stream: compute `bucket` images, of which the first `count` are the slot's."""

    def copy_out(self, slot: TakenT, count: int) -> None:
        """On the compute stream: bring `count` answers to the slot's buffer on this side."""

    def read(self, slot: TakenT, count: int) -> Logits:
        """Return a copy of the answers in the slot's buffer on this side."""


class Slots(Generic[SlotT]):
    """Hands each slot to one caller at a time; who finds none free waits for one."""

    def __init__(self, slots: Sequence[SlotT]) -> None:
        self._free: SimpleQueue[SlotT] = SimpleQueue()
        for slot in slots:
            self._free.put(slot)

    @contextmanager
    def taken(self) -> Iterator[SlotT]:
        """Hold a slot."""
        slot = self._free.get()
        try:
            yield slot
        finally:
            self._free.put(slot)


class Staged(Generic[SlotT]):
    """Computes batches of any size, padded up to a bucket or cut where larger than the largest."""

    def __init__(self, device: Staging[SlotT], slots: Sequence[SlotT], buckets: Sequence[int]) -> None:
        self._device = device
        self._slots = Slots(slots)
        self._buckets = buckets
        # What one batch gives to a stream must not be mixed with what another gives it.
        self._copying, self._computing = Lock(), Lock()

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes]; as many calls overlap as there are slots."""
        most = self._buckets[-1]
        parts = [self._predict(batch[start : start + most]) for start in range(0, len(batch), most)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _predict(self, batch: Pixels) -> Logits:
        count, bucket = len(batch), bucket_for(len(batch), self._buckets)
        # Where something fails the slot is handed on at once. What is still under way for it can spoil only
        # its own failed batch: both streams keep their order, and the next batch's work is behind it in both.
        with self._slots.taken() as slot:
            self._device.fill(slot, batch)
            self._give(slot, count, bucket)
            slot.done.synchronize()
            return self._device.read(slot, count)

    def _give(self, slot: SlotT, count: int, bucket: int) -> None:
        """Give both streams all their work, without waiting for any of it."""
        with self._copying:
            self._device.copy_in(slot, count)
            slot.copied.record(self._device.copy_stream)
        with self._computing:
            self._device.compute_stream.wait_event(slot.copied)
            self._device.compute(slot, count, bucket)
            self._device.copy_out(slot, count)
            slot.done.record(self._device.compute_stream)
