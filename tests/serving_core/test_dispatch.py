"""Batched serving's dispatcher around an engine that is held up."""

import asyncio
import threading
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from batched_serving.dispatch import Batched
from serving_core.dispatch import Dropped, Work
from serving_core.engine import Logits, Pixels
from serving_core.manifest import Manifest, Transform
from serving_core.metrics import Metrics
from serving_core.pipeline import Pipeline
from serving_core.settings import Settings


class HeldEngine:
    """Computes nothing until its gate is open."""

    name = "held"
    takes: Literal["crop", "image"] = "crop"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.images = 0

    def load(self, path: Path, manifest: Manifest, threads: int) -> None:
        """Need nothing."""

    def warm(self) -> None:
        """Need nothing."""

    def predict(self, batch: Pixels) -> Logits:
        assert self.gate.wait(20)
        self.images += len(batch)
        return np.zeros((len(batch), 2), np.float32)


def test_a_client_that_leaves_while_its_image_waits_is_dropped_uncomputed() -> None:
    engine = HeldEngine()
    transform = Transform(8, 8, (0, 0, 0), (1, 1, 1))
    pipeline = Pipeline(engine, Manifest("m", "a", ("x", "y"), transform, 0.05, {}), Metrics(), 1000)
    settings = Settings(service="test", model_uri="file:///x", threads=1, max_batch=1)
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "BMP")
    gone = False

    def work(*, leaves: bool) -> Work:
        now = monotonic()
        body = buffer.getvalue()
        return Work("application/octet-stream", body, now, now + 60, lambda: leaves and gone)

    async def scenario() -> None:
        nonlocal gone
        batched = Batched(pipeline, settings, own_device=True)
        first = asyncio.create_task(batched.answer(work(leaves=False)))
        second = asyncio.create_task(batched.answer(work(leaves=True)))
        while not batched._batcher._waiting or not batched._batcher._computing:
            await asyncio.sleep(0.001)
        gone = True
        engine.gate.set()
        assert await first
        with pytest.raises(Dropped):
            await second
        batched.close()

    asyncio.run(scenario())
    assert engine.images == 1
