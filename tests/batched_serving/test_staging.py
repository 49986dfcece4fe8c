"""Batches that overlap on a device keep apart, and do overlap: on a fake device that is late at random."""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from batched_serving.batch_sizes import doubling_sizes
from batched_serving.pinned_buffers import Staged
from serving_core.engine import Logits, Pixels
from tests.batched_serving.fake_device import FakeEvent, FakeSlot, FakeStaging, FakeStream, Machine, answers

MOST = 6
BUCKETS = doubling_sizes(MOST)
SEEDS = range(20)


def images(count: int, first: int = 1) -> Pixels:
    return (np.arange(count * 3, dtype=np.uint8) + first).reshape(count, 1, 1, 3)


def made(seed: int = 0) -> tuple[FakeStaging, Staged[FakeSlot]]:
    machine = Machine(seed)
    device = FakeStaging(machine, MOST)
    return device, Staged(device, [FakeSlot(number, MOST, machine) for number in range(2)], BUCKETS)


def wrong_answers(staged: Staged[FakeSlot], threads: int) -> int:
    """How many of many batches, sent from several threads at once, come back wrong."""
    batches = [images(1 + number % (2 * MOST + 2), number) for number in range(60)]
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(staged.predict, batches))
    return sum(not np.array_equal(got, answers(batch)) for got, batch in zip(found, batches, strict=True))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 12, 13])
def test_a_batch_of_any_size_is_padded_or_cut(count: int) -> None:
    device, staged = made()
    assert np.array_equal(staged.predict(images(count)), answers(images(count)))
    computed = [size for what, _, size in device.steps if what == "compute"]
    assert all(size in BUCKETS for size in computed)
    assert sum(computed[:-1]) == (count - 1) // MOST * MOST


def test_only_a_batchs_own_images_cross_the_bus() -> None:
    device, staged = made()
    staged.predict(images(3))
    assert device.steps == [
        ("fill", 0, 3),
        ("copy in", 0, 3),
        ("compute", 0, 4),
        ("copy out", 0, 3),
        ("read", 0, 3),
    ]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_batch_gets_its_own_answers_in_whatever_order_the_device_works(threads: int) -> None:
    for seed in SEEDS:
        assert wrong_answers(made(seed)[1], threads) == 0


def test_the_fake_device_notices_a_compute_that_does_not_wait_for_its_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The test above can fail."""
    monkeypatch.setattr(FakeStream, "wait_event", lambda *_: None)
    assert sum(wrong_answers(made(seed)[1], 2) for seed in SEEDS)


def test_the_fake_device_notices_answers_that_are_read_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeEvent, "synchronize", lambda _: None)
    assert sum(wrong_answers(made(seed)[1], 2) for seed in SEEDS)


def test_the_fake_device_notices_a_slot_that_two_use_at_once() -> None:
    wrong = 0
    for seed in SEEDS:
        machine = Machine(seed)
        slot = FakeSlot(0, MOST, machine)
        wrong += wrong_answers(Staged(FakeStaging(machine, MOST), [slot, slot], BUCKETS), 2)
    assert wrong


class Stalled:
    """Two threads' batches on a device whose compute stream stands still, and a third that finds no slot."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.device, self._staged = made()
        self._pool = pool
        self.device.compute_stream.stall(True)

    def send(self, count: int) -> Future[Logits]:
        return self._pool.submit(self._staged.predict, images(count))

    def until(self, *steps: tuple[str, int]) -> None:
        """Let the device work until these (what, images) have happened."""
        self.device.machine.run_until(
            lambda: {*steps} <= {(what, size) for what, _, size in self.device.steps}
        )


def test_a_batch_is_copied_while_another_is_computed() -> None:
    with ThreadPoolExecutor(3) as pool:
        stalled = Stalled(pool)
        first = stalled.send(1)
        stalled.until(("copy in", 1))
        second = stalled.send(2)
        stalled.until(("copy in", 2))
        assert {what for what, _, _ in stalled.device.steps} == {"fill", "copy in"}
        assert not first.done()
        stalled.device.compute_stream.stall(False)
        assert np.array_equal(first.result(100), answers(images(1)))
        assert np.array_equal(second.result(100), answers(images(2)))


def test_a_slot_is_used_again_only_once_its_answers_were_read() -> None:
    with ThreadPoolExecutor(3) as pool:
        stalled = Stalled(pool)
        sent = [stalled.send(1), stalled.send(2)]
        stalled.until(("copy in", 1), ("copy in", 2))
        sent.append(stalled.send(4))
        stalled.device.compute_stream.stall(False)
        for answered, count in zip(sent, (1, 2, 4), strict=True):
            assert np.array_equal(answered.result(100), answers(images(count)))
    steps = stalled.device.steps
    third = steps.index(next(step for step in steps if step[0] == "fill" and step[2] == 4))
    slot = steps[third][1]
    assert [what for what, number, _ in steps[:third] if number == slot][-1] == "read"


def test_a_batch_that_fails_costs_no_slot_and_no_other_batch() -> None:
    for seed in SEEDS:
        device, staged = made(seed)
        device.fails_on = 3
        for _ in range(4):
            with pytest.raises(RuntimeError, match="out of memory"):
                staged.predict(images(3))
        device.fails_on = None
        assert wrong_answers(staged, 2) == 0
