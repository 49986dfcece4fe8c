"""Passes batches through a device so that one is copied while another is computed; free of CUDA itself.

Each of two streams does its work in order: one copies pixels to the device, the other computes and copies the
answers back. Events synchronise the streams. Each call of `predict` takes a slot, which has buffers on the
host and on the device, so as many calls are under way as there are slots."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from batched_serving.batch_sizes import bucket_for
from serving_core.engine import Logits, Pixels


class Event(Protocol):
    """A mark in a stream, like torch.cuda.Event."""

    def record(self, stream: Any) -> None:
        """Set the mark after all work that the stream has so far."""

    def synchronize(self) -> None:
        """Return when all work before the mark is done."""


class Stream(Protocol):
    """A queue of work that is done in order, like torch.cuda.Stream."""

    def wait_event(self, event: Any) -> None:
        """Do all later work only after the event's mark; returns at once."""


class Slot(Protocol):
    """The buffers of one batch, and two events: pixels copied to the device; answers copied to the host."""

    @property
    def copied(self) -> Event:
        """The event that the copy stream records."""

    @property
    def done(self) -> Event:
        """The event that the compute stream records."""


SlotT = TypeVar("SlotT", bound=Slot)
TakenT = TypeVar("TakenT", bound=Slot, contravariant=True)


class Staging(Protocol[TakenT]):
    """A device's part. `fill` and `read` are done when they return; the others add work to a stream."""

    @property
    def copy_stream(self) -> Stream:
        """The stream that copies pixels to the device."""

    @property
    def compute_stream(self) -> Stream:
        """The stream that computes and copies the answers to the host."""

    def fill(self, slot: TakenT, pixels: Pixels) -> None:
        """Copy the pixels into the slot's buffer on the host."""

    def copy_in(self, slot: TakenT, count: int) -> None:
        """On the copy stream: copy `count` images to the slot's buffer on the device."""

    def compute(self, slot: TakenT, count: int, bucket: int) -> None:
        """On the compute stream: compute `bucket` images, of which the first `count` are the slot's."""

    def copy_out(self, slot: TakenT, count: int) -> None:
        """On the compute stream: copy `count` answers to the slot's buffer on the host."""

    def read(self, slot: TakenT, count: int) -> Logits:
        """Return a copy of the answers in the slot's buffer on the host."""


class Slots(Generic[SlotT]):
    """Gives each slot to one caller at a time; a caller waits if no slot is free."""

    def __init__(self, slots: Sequence[SlotT]) -> None:
        self._free: SimpleQueue[SlotT] = SimpleQueue()
        for slot in slots:
            self._free.put(slot)

    @contextmanager
    def taken(self) -> Iterator[SlotT]:
        """Yield a slot, and free it at the end."""
        slot = self._free.get()
        try:
            yield slot
        finally:
            self._free.put(slot)


class Staged(Generic[SlotT]):
    """Computes batches of any size: padded to a bucket, or cut if larger than the largest bucket."""

    def __init__(self, device: Staging[SlotT], slots: Sequence[SlotT], buckets: Sequence[int]) -> None:
        self._device = device
        self._slots = Slots(slots)
        self._buckets = buckets
        # The work of one batch on a stream must not be mixed with the work of another.
        self._copying, self._computing = Lock(), Lock()

    def predict(self, batch: Pixels) -> Logits:
        """Return float32 logits [n, classes]; as many calls overlap as there are slots."""
        most = self._buckets[-1]
        parts = [self._predict(batch[start : start + most]) for start in range(0, len(batch), most)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _predict(self, batch: Pixels) -> Logits:
        count, bucket = len(batch), bucket_for(len(batch), self._buckets)
        # If something fails, the slot is freed at once. Its unfinished work can spoil only its own failed
        # batch: both streams keep their order, and the next batch's work comes later in both.
        with self._slots.taken() as slot:
            self._device.fill(slot, batch)
            self._give(slot, count, bucket)
            slot.done.synchronize()
            return self._device.read(slot, count)

    def _give(self, slot: SlotT, count: int, bucket: int) -> None:
        """Add all work of a batch to both streams, without waiting for it."""
        with self._copying:
            self._device.copy_in(slot, count)
            slot.copied.record(self._device.copy_stream)
        with self._computing:
            self._device.compute_stream.wait_event(slot.copied)
            self._device.compute(slot, count, bucket)
            self._device.copy_out(slot, count)
            slot.done.record(self._device.compute_stream)
